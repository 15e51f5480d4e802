/** RFC 7323, TCP Extensions for High Performance: window scale, timestamps, PAWS. */
import type { ConformanceCase } from "../case.js";

export const RFC7323: readonly ConformanceCase[] = [
  {
    title: "§2.2 window scale is sent in SYN,ACK only when the SYN had it",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,sackOK>
      +0    > S. 0:0(0) ack 1 <mss 1460,sackOK>
    `,
  },
  {
    title: "§2.3 the window of a SYN is never scaled, later ones are",
    script: `
      listen
      +0    < S 0:0(0) win 1000 <mss 1000,nop,wscale 3>
      +0    > S. 0:0(0) ack 1 <mss 1460,wscale 10>
      +0.01 < . 1:1(0) ack 1 win 250
      accept
      write 2000
      +0    > . 1:1001(1000) ack 1
      +0    > P. 1001:2001(1000) ack 1
    `,
    notOnLinux: "the window scale that Linux offers depends on its memory settings",
  },
  {
    title: "§3.2 timestamps are on every segment once both SYNs had them, and TSecr echoes TSval",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 100 ecr 0>
      +0    > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 100>
      +0.01 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 110 ecr last>
      accept
      write 100
      +0    > P. 1:101(100) ack 1 <nop,nop,TS val * ecr 110>
      +0.01 < . 1:1(0) ack 101 win 65535 <nop,nop,TS val 120 ecr last>
      +0    < P. 1:101(100) ack 101 win 65535 <nop,nop,TS val 130 ecr last>
      +0~0.05 > . 101:101(0) ack 101 <nop,nop,TS val * ecr 130>
    `,
  },
  {
    title: "§3.2 timestamps are not used when the SYN had none",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <mss 1460>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 100
      +0    > P. 1:101(100) ack 1 <>
    `,
  },
  {
    title: "§4.3 TSecr of a delayed ACK comes from the segment that advanced the left edge",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 100 ecr 0>
      +0    > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 100>
      +0.01 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 110 ecr last>
      accept
      +0    < P. 101:201(100) ack 1 win 65535 <nop,nop,TS val 130 ecr last>
      +0    > . 1:1(0) ack 1 <nop,nop,TS val * ecr 110,sack 101:201>
      +0    < P. 1:101(100) ack 1 win 65535 <nop,nop,TS val 120 ecr last>
      +0~0.05 > . 1:1(0) ack 201 <nop,nop,TS val * ecr 120>
    `,
  },
  {
    title: "§5.3 R1 PAWS: a segment with an older timestamp is dropped and acknowledged",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 1000 ecr 0>
      +0    > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 1000>
      +0.01 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 1100 ecr last>
      accept
      +0    < P. 1:101(100) ack 1 win 65535 <nop,nop,TS val 900 ecr last>
      +0    > . 1:1(0) ack 1 <nop,nop,TS val * ecr 1100>
      read 100 = EAGAIN
      +0.6  < P. 1:101(100) ack 1 win 65535 <nop,nop,TS val 1200 ecr last>
      +0~0.05 > . 1:1(0) ack 101 <nop,nop,TS val * ecr 1200>
      read 100
    `,
  },
];
