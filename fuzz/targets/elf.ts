/**
 * Object files of eBPF: whatever the bytes, parsing ends with a clear error or with programs that can be
 * verified, opened and run, in strict mode, to the end or to another clear error; what the verifier accepts,
 * to the end.
 */
import { EbpfError } from "../../src/ebpf/ebpf-error.js";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { type BpfObject, type ObjectProgram, parseObject } from "../../src/ebpf/object.js";
import { verifyProgram } from "../../src/ebpf/verify-program.js";
import type { Target } from "../target.js";

const PACKET = new Uint8Array(64).fill(8);
const BUDGET = 2_000_000;
/** Larger ones only take time: a map of 2 GiB is allowed. */
const MAX_MAP_BYTES = 1 << 24;

function open(input: Uint8Array): string {
  const object = parseObject(input);
  const parts = [`${object.maps.length} maps`];
  const isSmall = object.maps.every(
    (m) => m.maxEntries * (m.keyBytes + m.valueBytes + 64) < MAX_MAP_BYTES,
  );
  if (!isSmall) return "large";
  for (const program of object.programs) parts.push(run(object, program));
  return parts.join(" ");
}

/** What the verifier accepts must not go wrong in strict mode, whatever it is. */
function run(object: BpfObject, program: ObjectProgram): string {
  const verdict = attempt(() => `${verifyProgram(object, program).steps > 0 ? "accepted" : ""}`);
  const result = attempt(() => runStrictly(object, program.name));
  const isWrong = result.startsWith("EFAULT") || result.startsWith("ELOOP");
  if (verdict === "accepted" && isWrong) throw new Error(`accepted, and then: ${result}`);
  return `${verdict} ${result}`;
}

function runStrictly(object: BpfObject, program: string): string {
  const instance = XdpInstance.open(object, { program, isStrict: true, budget: BUDGET, seed: 1 });
  return `verdict ${instance.run(PACKET).verdict}`;
}

/** The error's words without its numbers and names; any other error is ours. */
function attempt(run: () => string): string {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof EbpfError)) throw error;
    if (error.message.length < 10) throw new Error(`an error says nothing: "${error.message}"`);
    return `${error.code} ${error.message.replaceAll(/\S*[^ a-z,:.]\S*/gi, "").slice(0, 80)}`;
  }
}

export const target: Target = {
  name: "elf",
  summary: "object files of eBPF through loader, verifier and interpreter",
  maxBytes: 16_384,
  run: (input) => attempt(() => open(input)),
};
