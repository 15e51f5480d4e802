/** RFC 7323, TCP Extensions for High Performance: window scale, timestamps, PAWS. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED_TS, segments } from "./handshakes.js";

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
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 250
      accept
      write 2000
      +0    > . 1:1001(1000) ack 1
      +0    > P. 1001:2001(1000) ack 1
    `,
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
  {
    title: "§2.3 windows that arrive are scaled by what the peer's SYN said",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,nop,wscale 3>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 500
      accept
      write 6000
      ${segments(4)}
      +0.05 > nothing
      +0    < . 1:1(0) ack 4001 win 500
      +0    > . 4001:5001(1000) ack 1
      +0    > P. 5001:6001(1000) ack 1
    `,
  },
  {
    title: "§2.2 a window scale that only SYN,ACK has is not used",
    script: `
      listen
      +0    < S 0:0(0) win 4000 <mss 1000>
      +0    > S. 0:0(0) ack 1 <mss 1460>
      +0.01 < . 1:1(0) ack 1 win 4000
      accept
      write 6000
      ${segments(4)}
      +0.05 > nothing
    `,
  },
  {
    title: "§5.2 PAWS does not apply to RST",
    script: `${ACCEPTED_TS}
      +0    < R 1:1(0) win 0 <nop,nop,TS val 500 ecr last>
      read 10 = ECONNRESET
    `,
  },
  {
    title: "§5.2 a timestamp that is the same as the last is taken",
    script: `${ACCEPTED_TS}
      +0    < P. 1:101(100) ack 1 win 65535 <nop,nop,TS val 1010 ecr last>
      +0~0.05 > . 1:1(0) ack 101 <nop,nop,TS val * ecr 1010>
      +0    < P. 101:201(100) ack 1 win 65535 <nop,nop,TS val 1010 ecr last>
      +0~0.05 > . 1:1(0) ack 201 <nop,nop,TS val * ecr 1010>
      read 200
    `,
  },
  {
    title: "§5.2 timestamps wrap around",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 4294967290 ecr 0>
      +0    > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 4294967290>
      +0.01 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 4294967295 ecr last>
      accept
      +0    < P. 1:101(100) ack 1 win 65535 <nop,nop,TS val 5 ecr last>
      +0~0.05 > . 1:1(0) ack 101 <nop,nop,TS val * ecr 5>
      read 100
    `,
  },
  {
    title: "§5.5 after 24 days of silence an older timestamp is taken",
    script: `${ACCEPTED_TS}
      +2160000 < P. 1:101(100) ack 1 win 65535 <nop,nop,TS val 500 ecr last>
      +0~0.05 > . 1:1(0) ack 101 <nop,nop,TS val * ecr 500>
      read 100
    `,
    notOnLinux: "it takes 25 days",
  },
  {
    title: "§3.2 FIN and retransmissions carry timestamps",
    script: `${ACCEPTED_TS}
      write 100
      +0    > P. 1:101(100) ack 1 <nop,nop,TS val * ecr 1010>
      +0.15~0.35 > P. 1:101(100) ack 1 <nop,nop,TS val * ecr 1010>
      +0.01 < . 1:1(0) ack 101 win 65535 <nop,nop,TS val 1200 ecr last>
      close
      +0    > F. 101:101(0) ack 1 <nop,nop,TS val * ecr 1200>
    `,
  },
  {
    title: "§3.2 an active opener offers timestamps and takes what the peer takes",
    script: `
      connect
      +0    > S 0:0(0) <...>
      +0.01 < S. 0:0(0) ack 1 win 65535 <mss 1000,sackOK,TS val 700 ecr last>
      +0    > . 1:1(0) ack 1 <nop,nop,TS val * ecr 700>
    `,
  },
  {
    title: "§5.6 the clock of timestamps moves forward",
    script: `${ACCEPTED_TS}
      write 100
      +0    > P. 1:101(100) ack 1 <nop,nop,TS val * ecr 1010>
      +0.05 < . 1:1(0) ack 101 win 65535 <nop,nop,TS val 1060 ecr last>
      write 100
      +0    > P. 101:201(100) ack 1 <nop,nop,TS val * ecr 1060>
    `,
  },
];
