/**
 * Requests to the page of `millrace xdp serve`: the first line and headers of one. Nobody is answered whose Host
 * is another site's; what is asked is within its limits; and an answer is JSON, or a problem in words.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { refusal } from "../../src/cli/xdp/page/allowed.js";
import { Analysis } from "../../src/cli/xdp/page/analysis.js";
import { PageError } from "../../src/cli/xdp/page/page-error.js";
import { MAX_ROWS, questionOf, splitAddress } from "../../src/cli/xdp/page/question.js";
import type { Target } from "../target.js";

const ROOT = new URL("../../../", import.meta.url);
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(new URL(path, ROOT)));
const OWN = "page.example";

let made: Analysis | null = null;

function analysis(): Analysis {
  made ??= new Analysis({
    name: "ddos_guard.o",
    object: read("fuzz/corpus/elf/ddos_guard.o"),
    capture: read("test/vectors/captures/zeek/tcp.pcap"),
    program: null,
    btf: null,
    maps: [],
    maxEntries: {},
  });
  return made;
}

/** The answer's shape. */
function answer(address: string): string {
  const { path, query } = splitAddress(address);
  const question = questionOf(path, query);
  if (question === null) return "nothing";
  switch (question.kind) {
    case "overview":
      return `overview ${JSON.stringify(analysis().report()).length > 0}`;
    case "packets": {
      const { from, count, path: route } = question;
      const { rows, total } = analysis().rows(from, count, route);
      if (count > MAX_ROWS || rows.length > count || rows.length > total) {
        throw new Error(`${rows.length} rows of ${total} for ${count}`);
      }
      return `packets ${Math.min(rows.length, 3)} ${JSON.stringify(rows).length > 1}`;
    }
    case "packet":
      return `packet ${JSON.stringify(analysis().packet(question.n)).length > 1}`;
    default: {
      const { hits, misses, hostOnly, packets } = analysis().cache(
        question.policy,
        question.entries,
      );
      if (hits + misses + hostOnly > packets) throw new Error("more packets than there are");
      return `cache ${question.policy}`;
    }
  }
}

export const target: Target = {
  name: "xdp-page",
  summary: "requests to the page of xdp serve: refused, or answered within limits",
  maxBytes: 512,
  run(input) {
    const [first = "", ...lines] = Buffer.from(input).toString("latin1").split("\n");
    const [method = "", address = ""] = first.split(" ");
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const [, name, value] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
      if (name !== undefined) headers[name.toLowerCase()] = value!;
    }
    const why = refusal(method, headers, OWN);
    if (why !== null) return why;
    const host = (headers.host ?? "").toLowerCase().replace(/:\d+$/, "");
    const isOurs = host === "localhost" || host === OWN || isIP(host.replaceAll(/[[\]]/g, "")) > 0;
    if (!isOurs) throw new Error(`answered to ${host}`);
    if (headers.origin !== undefined && headers.origin !== `http://${headers.host}`) {
      throw new Error(`answered to ${headers.origin}`);
    }
    try {
      return `${method} ${answer(address)}`;
    } catch (error) {
      if (!(error instanceof PageError)) throw error;
      return `${method} ${error.message.replaceAll(/\d+|got .*/gs, "")}`;
    }
  },
};
