/**
 * Acceleration rules: which sockets Millrace carries and which stay with the kernel.
 * `rules-parser.ts` reads them from a file, docs/rules.md is the user's page.
 *
 * A rule has a program, an application id, a role and one or two endpoints; the first rule of the file
 * that matches in all of them decides. When none does, the built-in ones follow, then everything
 * is accelerated. (libvma lets the first matching `application-id` decide alone, even without a
 * matching rule; its manual says first match wins, and so it is here.)
 */
import { matchesGlob } from "../base/glob.js";
import { IpAddress } from "../base/ip-address.js";

/** What a socket is about to be, in the words of the file. */
export type Role = "tcp_server" | "tcp_client" | "udp_sender" | "udp_receiver" | "udp_connect";

/** Of a program's file: an engine reads it. As native/shim/rules-file.c has it. */
export const MAX_RULES_BYTES: number = 64 << 10;

export const ROLES: readonly Role[] = [
  "tcp_server",
  "tcp_client",
  "udp_sender",
  "udp_receiver",
  "udp_connect",
];

/** An address and a port in host order; port 0 and the unspecified address: not chosen yet. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/** What a rule wants of an address: all of them when `prefix` is null. */
export interface EndpointMatch {
  /** With its host bits cleared. */
  readonly prefix: IpAddress | null;
  /** Of the 128 bits of {@link IpAddress}: an IPv4 prefix of 24 has 120. */
  readonly prefixBits: number;
  readonly firstPort: number;
  readonly lastPort: number;
}

export interface Rule {
  /** Wildcards as in the shell, matched with the program's name without its folder. */
  readonly program: string;
  /** `*` or what MILLRACE_APPLICATION_ID must be. */
  readonly applicationId: string;
  readonly accelerate: boolean;
  readonly role: Role;
  /** tcp_server, udp_receiver: the local endpoint; the others: the remote one. */
  readonly first: EndpointMatch;
  /** tcp_client, udp_connect: the local endpoint; null: any. */
  readonly second: EndpointMatch | null;
  /** For people: `rules.conf:3: use os tcp_server *:5001`. */
  readonly source: string;
}

export interface Verdict {
  readonly accelerate: boolean;
  /** The rule that decided, with file and line, or that there was none. */
  readonly reason: string;
}

const ANY: EndpointMatch = { prefix: null, prefixBits: 0, firstPort: 0, lastPort: 65_535 };

/** After the user's own: names are looked up as the system does, whatever the program. */
export const DEFAULT_RULES: readonly Rule[] = (
  ["udp_connect", "udp_sender", "tcp_client"] as const
).map((role) => ({
  program: "*",
  applicationId: "*",
  accelerate: false,
  role,
  first: { ...ANY, firstPort: 53, lastPort: 53 },
  second: null,
  source: `built-in rule: use os ${role} *:53`,
}));

const NO_RULE: Verdict = { accelerate: true, reason: "no rule says otherwise" };

/** The rules that concern one program, ready to be asked for each of its sockets. */
export class ProgramRules {
  /** Of the file, those for other programs included. */
  readonly file: readonly Rule[];
  private readonly rules: readonly Rule[];

  /** `program` is the name without its folder, `applicationId` is empty when none was given. */
  constructor(rules: readonly Rule[], program: string, applicationId: string) {
    this.file = rules;
    this.rules = [...rules, ...DEFAULT_RULES].filter(concerning(program, applicationId));
  }

  /**
   * Decides about a socket that is about to listen or receive (`local`: its address, or the group that
   * it joins) or to connect or send (`peer`; `local` as far as known). Null stands for not known.
   */
  decide(role: Role, local: Endpoint | null, peer: Endpoint | null): Verdict {
    for (const rule of this.rules) {
      if (!matches(rule, role, local, peer)) continue;
      return { accelerate: rule.accelerate, reason: rule.source };
    }
    return NO_RULE;
  }
}

/** Whether a rule's program and application id fit. The id `*` of a program fits every rule's. */
function concerning(program: string, applicationId: string): (rule: Rule) => boolean {
  let pattern = "*";
  let fits = true;
  return (rule) => {
    const isId =
      rule.applicationId === "*" || applicationId === "*" || rule.applicationId === applicationId;
    if (!isId) return false;
    // Most rules are for the same programs as the one before.
    if (rule.program !== pattern) {
      pattern = rule.program;
      fits = matchesGlob(pattern, program);
    }
    return fits;
  };
}

function matches(rule: Rule, role: Role, local: Endpoint | null, peer: Endpoint | null): boolean {
  if (rule.role !== role) return false;
  const isLocal = role === "tcp_server" || role === "udp_receiver";
  if (!matchesEndpoint(rule.first, isLocal ? local : peer)) return false;
  return rule.second === null || matchesEndpoint(rule.second, local);
}

function matchesEndpoint(match: EndpointMatch, endpoint: Endpoint | null): boolean {
  const port = endpoint?.port ?? 0;
  if (port < match.firstPort || port > match.lastPort) return false;
  if (match.prefix === null) return true;
  if (endpoint === null || endpoint.address.isV4 !== match.prefix.isV4) return false;
  return clearHostBits(endpoint.address, match.prefixBits).equals(match.prefix);
}

/** The first `bits` of the 128, the rest zero. */
export function clearHostBits(a: IpAddress, bits: number): IpAddress {
  const mask = (word: number): number => {
    const n = Math.min(32, Math.max(0, bits - word * 32));
    return n === 0 ? 0 : -1 << (32 - n);
  };
  return new IpAddress(a.w0 & mask(0), a.w1 & mask(1), a.w2 & mask(2), a.w3 & mask(3));
}
