/** Whether a socket is accelerated, and why: rules, then what Millrace can reach. */
import type { IpAddress } from "../base/ip-address.js";
import { Kind, OpenedFor } from "../ring/engine-layout.js";
import type { MessageAddress, OpenRequest } from "./message.js";
import type { Network } from "./network.js";
import type { Program } from "./session.js";

/** What rules are asked about. The names are those of the rules' language. */
export interface RuleQuery {
  readonly role: "tcp_server" | "tcp_client" | "udp_sender" | "udp_receiver" | "udp_connect";
  readonly program: string;
  readonly applicationId: string;
  /** The session's rules file, or "". */
  readonly rulesFile: string;
  /** Null: none yet, or the wildcard's port alone in `ownPort`. */
  readonly own: IpAddress | null;
  readonly ownPort: number;
  readonly peer: IpAddress | null;
  readonly peerPort: number;
}

export interface Decision {
  readonly accelerate: boolean;
  readonly reason: string;
}

/** Rules: the first that matches decides. */
export type Rules = (query: RuleQuery) => Decision;

const DNS_PORT = 53;

/** The rules when nobody gave any: everything but DNS. */
export const defaultRules: Rules = (query) => {
  const isUdp = query.role.startsWith("udp");
  if (isUdp && query.peerPort === DNS_PORT) {
    return { accelerate: false, reason: "rule: DNS (*:53) stays with the kernel by default" };
  }
  return { accelerate: true, reason: "rule: everything by default" };
};

const stays = (reason: string): Decision => ({ accelerate: false, reason });

export interface DecisionParts {
  readonly network: Network;
  readonly rules: Rules;
  readonly loopback: boolean;
  readonly program: Program;
}

/** Decides about a socket that is to be opened. */
export function decide(request: OpenRequest, parts: DecisionParts): Decision {
  const { network, rules, loopback, program } = parts;
  const { own, peer } = request;
  if (!loopback) {
    const local = loopbackOf(own, false) ?? loopbackOf(peer, needsPeer(request));
    if (local !== null) return stays(`loopback address ${local} (see --loopback)`);
  }
  const rule = rules({
    role: roleOf(request),
    program: program.name,
    applicationId: program.applicationId,
    rulesFile: program.rules,
    own: own?.address ?? null,
    ownPort: own?.port ?? 0,
    peer: peer?.address ?? null,
    peerPort: peer?.port ?? 0,
  });
  if (!rule.accelerate) return rule;
  if (own !== null && !own.address.isUnspecified && !network.mayBind(own.address)) {
    return stays(`${own.address} is no address of Millrace's`);
  }
  if (peer !== null && needsPeer(request)) {
    const why = network.whyUnreachable(peer.address, peer.scope);
    if (why !== "") return stays(why);
  }
  return rule;
}

const needsPeer = (request: OpenRequest): boolean =>
  request.at === OpenedFor.CONNECT ||
  request.at === OpenedFor.SEND ||
  request.at === OpenedFor.JOIN;

/** An address that means this host only, as text, or null. A connect to the wildcard means it too. */
function loopbackOf(a: MessageAddress | null, isPeer: boolean): string | null {
  if (a === null) return null;
  const isLocal = a.address.isLoopback || (isPeer && a.address.isUnspecified);
  return isLocal ? a.address.toString() : null;
}

function roleOf(request: OpenRequest): RuleQuery["role"] {
  if (request.kind === Kind.TCP) {
    return request.at === OpenedFor.CONNECT ? "tcp_client" : "tcp_server";
  }
  if (request.at === OpenedFor.CONNECT) return "udp_connect";
  return request.at === OpenedFor.SEND ? "udp_sender" : "udp_receiver";
}
