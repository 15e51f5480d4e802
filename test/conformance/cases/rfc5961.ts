/** RFC 5961, Improving TCP's Robustness to Blind In-Window Attacks. */
import type { ConformanceCase } from "../case.js";

const ACCEPTED = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 <...>
  +0.01 < . 1:1(0) ack 1 win 65535
  accept
`;

export const RFC5961: readonly ConformanceCase[] = [
  {
    title: "§3.2 an RST in the window but not at RCV.NXT gets a challenge ACK",
    script: `${ACCEPTED}
      +0    < R 101:101(0) win 0
      +0    > . 1:1(0) ack 1
      +0.01 < P. 1:11(10) ack 1 win 65535
      read 10
    `,
  },
  {
    title: "§3.2 an RST outside the window is dropped in silence",
    script: `${ACCEPTED}
      +0    < R 900001:900001(0) win 0
      +0.1  > nothing
    `,
  },
  {
    title: "§4.2 a SYN on an established connection gets a challenge ACK",
    script: `${ACCEPTED}
      +0    < S 1:1(0) win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
      +0.01 < P. 1:11(10) ack 1 win 65535
      read 10
    `,
  },
  {
    title: "§5.2 an ACK of what was never sent is answered with an ACK and its data dropped",
    script: `${ACCEPTED}
      +0    < P. 1:11(10) ack 5001 win 65535
      +0    > . 1:1(0) ack 1
      read 10 = EAGAIN
    `,
  },
];
