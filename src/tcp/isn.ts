/**
 * Initial sequence numbers, RFC 6528: a clock of 4 µs plus a keyed hash of the 4-tuple, so that an
 * outsider cannot guess them and a later connection of the same 4-tuple starts higher.
 */
import type { IpAddress } from "../base/ip-address.js";
import type { TcpCore } from "./core.js";
import { type Seq, seqOf } from "./seq.js";

/** Hash of the 4-tuple with the stack's secret; `purpose` keeps its uses apart. */
export function hashTuple(
  t: TcpCore,
  local: IpAddress,
  remote: IpAddress,
  ports: number,
  purpose: number,
): number {
  const w = t.hashWords;
  w[0] = local.w0;
  w[1] = local.w1;
  w[2] = local.w2;
  w[3] = local.w3;
  w[4] = remote.w0;
  w[5] = remote.w1;
  w[6] = remote.w2;
  w[7] = remote.w3;
  w[8] = ports;
  w[9] = purpose;
  return t.hash.hash(w, 10);
}

const PURPOSE_ISN = 1;

/** ISN for the selected row, whose addresses are in `t.local` and `t.remote`. */
export function initialSeq(t: TcpCore): Seq {
  const clock = Math.floor(t.nowUs / 4) | 0;
  return seqOf(hashTuple(t, t.local, t.remote, t.c.ports, PURPOSE_ISN) + clock);
}
