/** What the page's address asks, read and checked: everything here is untrusted. */
import { POLICY_NAMES, type PolicyName } from "../../../xdp/cache-policies.js";
import { MAX_ENTRIES } from "./cache-story.js";
import { PageError } from "./page-error.js";

export const MAX_ROWS = 500;
const MOST = 2 ** 31;

export type Question =
  | { readonly kind: "overview" }
  | {
      readonly kind: "packets";
      readonly revision: number;
      readonly from: number;
      readonly count: number;
      readonly path: number | null;
    }
  | { readonly kind: "packet"; readonly revision: number; readonly n: number }
  | {
      readonly kind: "cache";
      readonly revision: number;
      readonly policy: PolicyName;
      readonly entries: number;
    };

/** Of an address as in a request's first line. */
export function splitAddress(address: string): { path: string; query: URLSearchParams } {
  const [path = "", search = ""] = address.split("?", 2);
  return { path, query: new URLSearchParams(search) };
}

/** null: there is no such thing. Throws `PageError`. */
export function questionOf(path: string, query: URLSearchParams): Question | null {
  switch (path) {
    case "/api/overview":
      return { kind: "overview" };
    case "/api/packets": {
      const route = query.has("path") ? numberOf(query, "path", MOST) : null;
      const count = numberOf(query, "count", MAX_ROWS);
      const from = numberOf(query, "from", MOST);
      return { kind: "packets", revision: revisionOf(query), from, count, path: route };
    }
    case "/api/packet":
      return { kind: "packet", revision: revisionOf(query), n: numberOf(query, "n", MOST) };
    case "/api/cache": {
      const policy = POLICY_NAMES.find((one) => one === query.get("policy"));
      if (policy === undefined)
        throw new PageError("request", "there is no such policy", POLICY_NAMES.join(", "));
      const entries = Math.max(1, numberOf(query, "entries", MAX_ENTRIES));
      return { kind: "cache", revision: revisionOf(query), policy, entries };
    }
    default:
      return null;
  }
}

const revisionOf = (query: URLSearchParams): number =>
  numberOf(query, "revision", Number.MAX_SAFE_INTEGER);

function numberOf(query: URLSearchParams, name: string, most: number): number {
  const text = query.get(name) ?? "";
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value <= most) return value;
  throw new PageError("request", `${name}: expected a number up to ${most}, got ${text}`, "");
}
