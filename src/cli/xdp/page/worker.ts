/**
 * Does the work of the page in a thread of its own, so that an object that hangs or exhausts the memory costs
 * this thread only.
 */
import { parentPort } from "node:worker_threads";
import type { PolicyName } from "../../../xdp/cache-policies.js";
import { Analysis, type AnalysisInput } from "./analysis.js";
import { type PageProblem, problemOf } from "./page-error.js";

export type Call =
  | { readonly kind: "open"; readonly input: AnalysisInput }
  | {
      readonly kind: "rows";
      readonly from: number;
      readonly count: number;
      readonly path: number | null;
    }
  | { readonly kind: "packet"; readonly n: number }
  | { readonly kind: "cache"; readonly policy: PolicyName; readonly entries: number };

export interface Request {
  readonly id: number;
  readonly call: Call;
}

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly problem?: PageProblem;
}

let analysis: Analysis | null = null;

function answer(call: Call): unknown {
  if (call.kind === "open") {
    analysis = null;
    analysis = new Analysis(call.input);
    return analysis.report();
  }
  if (analysis === null) throw new RangeError("nothing is open");
  switch (call.kind) {
    case "rows":
      return analysis.rows(call.from, call.count, call.path);
    case "packet":
      return analysis.packet(call.n);
    default:
      return analysis.cache(call.policy, call.entries);
  }
}

parentPort?.on("message", ({ id, call }: Request) => {
  let reply: Answer;
  try {
    reply = { id, result: answer(call) };
  } catch (error) {
    reply = { id, problem: problemOf(error) };
  }
  parentPort?.postMessage(reply);
});
