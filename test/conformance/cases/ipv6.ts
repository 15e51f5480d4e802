/** TCP over IPv6: RFC 8200 §8, RFC 8201, and the basic cases again. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED, CONNECTED } from "./handshakes.js";

const CASES: readonly Omit<ConformanceCase, "family">[] = [
  {
    title: "RFC 8200 §8.3 the MSS that is offered is the MTU less 60",
    script: `
      listen
      +0    < S 0:0(0) win 65535
      +0    > S. 0:0(0) ack 1 <mss 1440>
    `,
  },
  {
    title: "RFC 9293 §3.7.1 MUST-15 without an MSS option segments carry at most 1220 bytes",
    script: `
      listen
      +0    < S 0:0(0) win 65535
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 2000
      +0    > . 1:1221(1220) ack 1
      +0    > P. 1221:2001(780) ack 1
    `,
  },
  {
    title: "RFC 9293 §3.5 a passive open, data both ways, closed by the peer",
    script: `${ACCEPTED}
      write 500
      +0    > P. 1:501(500) ack 1
      +0.01 < . 1:1(0) ack 501 win 65535
      +0    < P. 1:101(100) ack 501 win 65535
      +0~0.05 > . 501:501(0) ack 101
      read 100
      +0    < F. 101:101(0) ack 501 win 65535
      +0~0.05 > . 501:501(0) ack 102
      read 10 = 0
      close
      +0    > F. 501:501(0) ack 102
      +0.01 < . 102:102(0) ack 502 win 65535
    `,
  },
  {
    title: "RFC 9293 §3.5 an active open, closed by the host",
    script: `${CONNECTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
      close
      +0    > F. 101:101(0) ack 1
      +0.01 < F. 1:1(0) ack 102 win 65535
      +0    > . 102:102(0) ack 2
    `,
  },
  {
    title: "RFC 9293 §3.10.7.1 a segment to a closed port is answered with RST",
    script: `
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > [rawseq=0] R. 0:0(0) ack 1
    `,
  },
  {
    title: "RFC 9293 §3.1 a segment with a wrong checksum is dropped in silence",
    script: `${ACCEPTED}
      +0    < [badsum] P. 1:101(100) ack 1 win 65535
      +0.1  > nothing
    `,
  },
  {
    title: "RFC 6298 §5 retransmission",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.15~0.35 > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
    `,
  },
  {
    title: "RFC 8201 §4 packet too big makes segments smaller",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1440>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1440
      +0    > P. 1:1441(1440) ack 1
      +0.01 < icmp frag-needed 1300
      +0    > . 1:1241(1240) ack 1
      +0    > P. 1241:1441(200) ack 1
      +0.01 < . 1:1(0) ack 1441 win 65535
    `,
  },
  {
    title: "RFC 1122 §4.2.3.9 port unreachable ends a connection attempt",
    script: `
      connect
      +0    > S 0:0(0) <...>
      +0.01 < icmp port-unreachable
      +0.01 error = ECONNREFUSED
    `,
  },
  {
    title: "RFC 3168 §6.1.1 ECN uses the traffic class",
    script: `
      listen
      +0    < SEW 0:0(0) win 65535 <mss 1000>
      +0    > [noecn] SE. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 100
      +0    > [ect0] P. 1:101(100) ack 1
      +0    < [ce] P. 1:101(100) ack 101 win 65535
      +0~0.05 > [noecn] E. 101:101(0) ack 101
    `,
  },
  {
    title: "RFC 7323 §3.2 timestamps and SACK",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 100 ecr 0>
      +0    > S. 0:0(0) ack 1 <mss 1440,sackOK,TS val * ecr 100>
      +0.01 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 110 ecr last>
      accept
      +0    < P. 101:201(100) ack 1 win 65535 <nop,nop,TS val 130 ecr last>
      +0    > . 1:1(0) ack 1 <nop,nop,TS val * ecr 110,sack 101:201>
    `,
  },
  {
    title: "RFC 4987 §3.6 SYN cookies",
    script: `
      listen 1
      conn 1
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      conn 2
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      conn 3
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 100
      +0    > P. 1:101(100) ack 1
    `,
  },
];

export const IPV6: readonly ConformanceCase[] = CASES.map((one) => ({ ...one, family: 6 }));
