/** RFC 6298, Computing TCP's Retransmission Timer, and RFC 8985, its tail loss probe. */
import type { ConformanceCase } from "../case.js";

const ACCEPTED = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 <...>
  +0.1  < . 1:1(0) ack 1 win 65535
  accept
`;

export const RFC6298: readonly ConformanceCase[] = [
  {
    title: "§2.1 the first RTO is one second, and SYN is retransmitted with doubled timeouts",
    script: `
      connect
      +0    > S 0:0(0) <...>
      +1    > S 0:0(0) <...>
      +2    > S 0:0(0) <...>
    `,
    notOnLinux:
      "newer kernels retransmit the first SYNs at linear intervals (tcp_syn_linear_timeouts)",
  },
  {
    title: "§2.2 after an RTT of 100 ms the RTO is 300 ms; §5.5 it doubles",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.2~0.34 > P. 1:101(100) ack 1
      +0.5~0.7 > P. 1:101(100) ack 1
      +1.1~1.4 > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
      +0.2  > nothing
    `,
    notOnLinux: "retransmissions are timed in jiffies there, and the tail loss probe comes first",
  },
  {
    title: "§5.3 an ACK of new data restarts the timer",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.1  < . 1:1(0) ack 101 win 65535
      +1.0  > nothing
    `,
  },
];
