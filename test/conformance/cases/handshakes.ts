/** How scripts begin: connections made, with the peer's MSS 1000 unless a name says otherwise. */

/** The host accepts; no option but MSS. RTT 10 ms. */
export const ACCEPTED = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 <...>
  +0.01 < . 1:1(0) ack 1 win 65535
  accept
`;

/** As {@link ACCEPTED}, with an RTT of 50 ms. */
export const ACCEPTED_50_MS: string = ACCEPTED.replace("+0.01", "+0.05");

/** The host accepts, SACK permitted. RTT 50 ms. */
export const ACCEPTED_SACK = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000,sackOK>
  +0    > S. 0:0(0) ack 1 <mss 1460,sackOK>
  +0.05 < . 1:1(0) ack 1 win 65535
  accept
`;

/** The host accepts, with timestamps and SACK. The peer's clock starts at 1000. RTT 10 ms. */
export const ACCEPTED_TS = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 1000 ecr 0>
  +0    > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 1000>
  +0.01 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 1010 ecr last>
  accept
`;

/** The host connects. RTT 10 ms. */
export const CONNECTED = `
  connect
  +0    > S 0:0(0) <...>
  +0.01 < S. 0:0(0) ack 1 win 65535 <mss 1000>
  +0    > . 1:1(0) ack 1
`;

/** {@link ACCEPTED}, then closed by the host first: TIME-WAIT. */
export const TIME_WAIT = `${ACCEPTED}
  close
  +0    > F. 1:1(0) ack 1
  +0.01 < F. 1:1(0) ack 2 win 65535
  +0    > . 2:2(0) ack 2
`;

/** Expected lines for `count` full segments that begin with number `first`; the last one pushes or not. */
export function segments(count: number, first = 1, bytes = 1000): string {
  const line = (i: number): string =>
    `+0 > . ${first + i * bytes}:${first + (i + 1) * bytes}(${bytes}) ack 1`;
  return Array.from({ length: count }, (_, i) => line(i)).join("\n");
}
