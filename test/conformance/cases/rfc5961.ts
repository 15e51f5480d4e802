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
  {
    title: "§3.2 an RST at RCV.NXT after data resets, one before it is dropped",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      +0    < R 1:1(0) win 0
      +0.05 > nothing
      read 100
      +0    < R 101:101(0) win 0
      read 10 = ECONNRESET
    `,
  },
  {
    title: "§4.2 a SYN far outside of the window gets a challenge ACK",
    script: `${ACCEPTED}
      +0    < S 900000:900000(0) win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
    `,
  },
  {
    title: "§4.2 a SYN,ACK in the window gets a challenge ACK",
    script: `${ACCEPTED}
      +0    < S. 50:50(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
    `,
  },
  {
    title: "§4.2 a SYN in CLOSE-WAIT gets a challenge ACK",
    script: `${ACCEPTED}
      +0    < F. 1:1(0) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 2
      +0    < S 2:2(0) win 65535 <mss 1000>
      +0    > . 1:1(0) ack 2
    `,
  },
  {
    title:
      "§5.2 an ACK older than any the peer can have sent is answered with an ACK, its data dropped",
    script: `${ACCEPTED}
      +0    < P. 1:11(10) ack 4294000000 win 65535
      +0    > . 1:1(0) ack 1
      read 10 = EAGAIN
    `,
  },
  {
    title: "§7 challenge ACKs are throttled",
    script: `${ACCEPTED}
      +0    < S 1:1(0) win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
      +0.05 < S 1:1(0) win 65535 <mss 1000>
      +0    < S 1:1(0) win 65535 <mss 1000>
      +0.1  > nothing
      +0.6  < S 1:1(0) win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
    `,
  },
];
