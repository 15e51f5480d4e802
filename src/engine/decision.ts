/** Whether a socket is accelerated, and why: rules, then what Millrace can reach. */
import type { Home } from "../ip/home.js";
import { Kind, OpenedFor } from "../ring/engine-layout.js";
import { ProgramRules, type Role, type Rule } from "../socket/rules.js";
import { readRules } from "../socket/rules-parser.js";
import type { MessageAddress, OpenRequest } from "./message.js";
import type { Network } from "./network.js";
import { RulesTexts } from "./rules-texts.js";
import type { Program } from "./session.js";

export interface Decision {
  readonly accelerate: boolean;
  readonly reason: string;
}

/** A program's own file: its text, or the rules that another one has of it; null: it has none. */
export type OwnRules = string | readonly Rule[] | null;

/** Gives the rules of a program. Throws `RulesError`. */
export interface RulesOf {
  (program: Program, own: OwnRules): ProgramRules;
  /** Whether the text has not been read before: then that takes time. */
  readonly isNew: (file: string, text: string) => boolean;
}

/** Rules from the engine's file (null: none), or from the one that a program has handed over. */
export function rulesOf(file: string | null): RulesOf {
  const texts = new RulesTexts();
  const engines = file === null ? [] : readRules(file);
  const give = ({ rules, name, applicationId }: Program, own: OwnRules): ProgramRules => {
    const read = typeof own === "string" ? texts.parse(rules, own) : (own ?? engines);
    return new ProgramRules(read, name, applicationId);
  };
  return Object.assign(give, { isNew: (of: string, text: string) => !texts.knows(of, text) });
}

const stays = (reason: string): Decision => ({ accelerate: false, reason });

export interface DecisionParts {
  readonly network: Network;
  readonly home: Home | null;
  readonly rules: ProgramRules;
  readonly loopback: boolean;
}

/** What is decided about. */
export type Wanted = Pick<OpenRequest, "kind" | "at" | "own" | "peer">;

/** Decides about a socket that is to be opened, or one that has been, for what else it is to be now. */
export function decide(request: Wanted, parts: DecisionParts): Decision {
  const { network, home, rules, loopback } = parts;
  const { own, peer } = request;
  if (!loopback) {
    const local = loopbackOf(own, false) ?? loopbackOf(peer, needsPeer(request));
    if (local !== null) return stays(`loopback address ${local} (see --loopback)`);
  }
  const rule = rules.decide(roleOf(request), ownOf(request), peer);
  if (!rule.accelerate) return rule;
  if (own !== null && !own.address.isUnspecified && !network.mayBind(own.address, own.scope)) {
    return stays(`${own.address} is no address of Millrace's`);
  }
  if (peer !== null && needsPeer(request)) {
    const why = network.whyUnreachable(home, peer.address, peer.scope);
    if (why !== "") return stays(why);
    const protocol = request.kind === Kind.TCP ? "tcp" : "udp";
    const isShared = peer.address.isLoopback || network.isKernels(peer.address);
    const asksForPort = request.at === OpenedFor.CONNECT && isShared;
    if (asksForPort && !network.isThere(protocol, peer.address, peer.port)) {
      return stays(`nobody under Millrace is at ${peer.address} port ${peer.port}`);
    }
  }
  return rule;
}

const needsPeer = (request: Wanted): boolean =>
  request.at === OpenedFor.CONNECT ||
  request.at === OpenedFor.SEND ||
  request.at === OpenedFor.JOIN;

/** An address that means this host only, as text, or null. A connect to the wildcard means it too. */
function loopbackOf(a: MessageAddress | null, isPeer: boolean): string | null {
  if (a === null) return null;
  const isLocal = a.address.isLoopback || (isPeer && a.address.isUnspecified);
  return isLocal ? a.address.toString() : null;
}

/** What receivers are asked about: the group that is joined, or the address. */
const ownOf = (request: Wanted): MessageAddress | null =>
  request.at === OpenedFor.JOIN && request.peer !== null
    ? { ...request.peer, port: request.own?.port ?? 0 }
    : request.own;

function roleOf(request: Wanted): Role {
  if (request.kind === Kind.TCP) {
    return request.at === OpenedFor.CONNECT ? "tcp_client" : "tcp_server";
  }
  if (request.at === OpenedFor.CONNECT) return "udp_connect";
  return request.at === OpenedFor.SEND ? "udp_sender" : "udp_receiver";
}
