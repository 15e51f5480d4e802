/** RFC 5681, TCP Congestion Control, RFC 6582 (NewReno), RFC 6928 (initial window), RFC 3042. */
import type { ConformanceCase } from "../case.js";

const ACCEPTED = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 <...>
  +0.05 < . 1:1(0) ack 1 win 65535
  accept
`;
const TEN = Array.from({ length: 10 }, (_, i) => {
  const from = i * 1000 + 1;
  return `+0    > ${i === 9 ? "P" : ""}. ${from}:${from + 1000}(1000) ack 1`;
}).join("\n");

export const RFC5681: readonly ConformanceCase[] = [
  {
    title: "RFC 6928 §2 the initial window is ten segments",
    script: `${ACCEPTED}
      write 10000
      ${TEN}
      +0.02 > nothing
    `,
  },
  {
    title: "§3.2 three duplicate ACKs cause a fast retransmit",
    script: `${ACCEPTED}
      write 5000
      ${TEN.split("\n").slice(0, 4).join("\n")}
      +0    > P. 4001:5001(1000) ack 1
      +0.05 < . 1:1(0) ack 1 win 65535
      +0    < . 1:1(0) ack 1 win 65535
      +0    < . 1:1(0) ack 1 win 65535
      +0    < . 1:1(0) ack 1 win 65535
      +0    > . 1:1001(1000) ack 1
      +0.05 < . 1:1(0) ack 5001 win 65535
    `,
  },
  {
    title: "RFC 6582 §3.2 a partial ACK in fast recovery retransmits the next hole",
    script: `${ACCEPTED}
      write 5000
      ${TEN.split("\n").slice(0, 4).join("\n")}
      +0    > P. 4001:5001(1000) ack 1
      +0.05 < . 1:1(0) ack 1 win 65535
      +0    < . 1:1(0) ack 1 win 65535
      +0    < . 1:1(0) ack 1 win 65535
      +0    > . 1:1001(1000) ack 1
      +0.05 < . 1:1(0) ack 2001 win 65535
      +0    > . 2001:3001(1000) ack 1
      +0.05 < . 1:1(0) ack 5001 win 65535
    `,
  },
];
