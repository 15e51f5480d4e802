/** RFC 3168, Explicit Congestion Notification, the passive side: hosts do not ask for it themselves. */
import type { ConformanceCase } from "../case.js";

const ECN_ACCEPTED = `
  listen
  +0    < SEW 0:0(0) win 65535 <mss 1000>
  +0    > [noecn] SE. 0:0(0) ack 1 <...>
  +0.01 < . 1:1(0) ack 1 win 65535
  accept
`;

export const RFC3168: readonly ConformanceCase[] = [
  {
    title: "§6.1.1 SYN with ECE and CWR is answered with ECE, and data is marked ECT(0)",
    script: `${ECN_ACCEPTED}
      write 100
      +0    > [ect0] P. 1:101(100) ack 1
    `,
  },
  {
    title: "§6.1.1 without ECE and CWR in the SYN there is no ECN",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > [noecn] S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 100
      +0    > [noecn] P. 1:101(100) ack 1
    `,
  },
  {
    title: "§6.1.1 SYN,ACK with ECE against a SYN that did not ask is no agreement",
    script: `
      connect
      +0    > S 0:0(0) <...>
      +0.01 < SE. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
      write 100
      +0    > [noecn] P. 1:101(100) ack 1
    `,
  },
  {
    title: "§6.1.3 a CE mark is echoed on every ACK until CWR",
    script: `${ECN_ACCEPTED}
      +0    < [ce] P. 1:101(100) ack 1 win 65535
      +0~0.05 > [noecn] E. 1:1(0) ack 101
      +0    < [ect0] P. 101:201(100) ack 1 win 65535
      +0~0.05 > [noecn] E. 1:1(0) ack 201
      +0    < [ect0] WP. 201:301(100) ack 1 win 65535
      +0~0.05 > [noecn] . 1:1(0) ack 301
    `,
  },
  {
    title: "§6.1.3 without agreement a CE mark is ignored",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      +0    < [ce] P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
    `,
  },
  {
    title: "§6.1.2 ECE makes the sender reduce, and say CWR on the next new data",
    script: `${ECN_ACCEPTED}
      write 1000
      +0    > [ect0] P. 1:1001(1000) ack 1
      +0.01 < E. 1:1(0) ack 1001 win 65535
      write 1000
      +0    > [ect0] WP. 1001:2001(1000) ack 1
      +0.01 < . 1:1(0) ack 2001 win 65535
      write 1000
      +0    > [ect0] P. 2001:3001(1000) ack 1
    `,
  },
  {
    title: "§6.1.5 retransmissions are not ECN-capable",
    script: `${ECN_ACCEPTED}
      write 100
      +0    > [ect0] P. 1:101(100) ack 1
      +0.15~0.35 > [noecn] P. 1:101(100) ack 1
    `,
  },
  {
    title: "§6.1.4 pure ACKs and FIN without data are not ECN-capable",
    script: `${ECN_ACCEPTED}
      +0    < [ect0] P. 1:101(100) ack 1 win 65535
      +0~0.05 > [noecn] . 1:1(0) ack 101
    `,
  },
];
