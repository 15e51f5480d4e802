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
  {
    title: "§3.1 slow start: each acknowledged segment lets two go",
    script: `${ACCEPTED}
      write 16000
      ${TEN.replace("P.", ".")}
      +0.05 < . 1:1(0) ack 2001 win 65535
      +0    > . 10001:11001(1000) ack 1
      +0    > . 11001:12001(1000) ack 1
      +0    > . 12001:13001(1000) ack 1
      +0    > . 13001:14001(1000) ack 1
      +0.02 > nothing
    `,
  },
  {
    title: "RFC 3042 §2 limited transmit: each of the first two duplicate ACKs lets new data go",
    script: `${ACCEPTED}
      write 12000
      ${TEN.replace("P.", ".")}
      +0.05 < . 1:1(0) ack 1 win 65535
      +0    > . 10001:11001(1000) ack 1
      +0    < . 1:1(0) ack 1 win 65535
      +0    > P. 11001:12001(1000) ack 1
      +0    < . 1:1(0) ack 1 win 65535
      +0    > . 1:1001(1000) ack 1
    `,
  },
  {
    title: "§2 an ACK with a larger window is no duplicate ACK",
    script: `${ACCEPTED.replaceAll("win 65535", "win 60000")}
      write 5000
      ${TEN.split("\n").slice(0, 4).join("\n")}
      +0    > P. 4001:5001(1000) ack 1
      +0.05 < . 1:1(0) ack 1 win 60001
      +0    < . 1:1(0) ack 1 win 60002
      +0    < . 1:1(0) ack 1 win 60003
      +0    < . 1:1(0) ack 1 win 60004
      +0.05 > nothing
    `,
  },
  {
    title: "§4.2 an ACK for out-of-order data is sent at once, and one when a hole is filled",
    script: `${ACCEPTED}
      +0    < P. 1001:2001(1000) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      +0    < P. 2001:3001(1000) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      +0    < P. 1:1001(1000) ack 1 win 65535
      +0    > . 1:1(0) ack 3001
    `,
  },
  {
    title: "§4.2, RFC 9293 MUST-40 an ACK is not delayed by half a second or more",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.49 > . 1:1(0) ack 101
      read 100
      write 100
      +0    > P. 1:101(100) ack 101
      +0.05 < . 101:101(0) ack 101 win 65535
      +0    < P. 101:201(100) ack 101 win 65535
      +0~0.49 > . 101:101(0) ack 201
    `,
  },
];
