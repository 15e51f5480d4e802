/** RFC 8985, RACK-TLP loss detection, RFC 5682 (F-RTO), RFC 6298 (RTO) where losses show. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED, ACCEPTED_50_MS, ACCEPTED_SACK, segments } from "./handshakes.js";

export const RFC8985: readonly ConformanceCase[] = [
  {
    title: "§7.2 a tail loss probe after two RTTs sends the last segment again",
    script: `${ACCEPTED_SACK}
      write 2000
      ${segments(2)}
      +0.09~0.2 > P. 1001:2001(1000) ack 1
      +0.05 < . 1:1(0) ack 2001 win 65535
      +0.5  > nothing
    `,
  },
  {
    title: "§7.3 a tail loss probe sends new data where there is some",
    script: `${ACCEPTED_SACK}
      write 11000
      ${segments(10)}
      +0.09~0.2 > P. 10001:11001(1000) ack 1
    `,
  },
  {
    title: "§7.2 with one segment in flight the probe leaves time for a delayed ACK",
    script: `${ACCEPTED_SACK}
      write 1000
      +0    > P. 1:1001(1000) ack 1
      +0.12 > nothing
      +0.05~0.3 > P. 1:1001(1000) ack 1
    `,
  },
  {
    title: "§7.4 the probe's acknowledgment with SACK shows the loss before it",
    script: `${ACCEPTED_SACK}
      write 3000
      ${segments(3)}
      +0.09~0.2 > P. 2001:3001(1000) ack 1
      +0.05 < . 1:1(0) ack 1 win 65535 <sack 2001:3001,nop,nop>
      +0~0.05 > . 1:1001(1000) ack 1
    `,
  },
  {
    title: "§6.2 one SACK of a later segment retransmits after the reordering window",
    script: `${ACCEPTED_SACK}
      write 3000
      ${segments(3)}
      +0.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001,nop,nop>
      +0.005~0.04 > . 1:1001(1000) ack 1
    `,
  },
  {
    title: "§6.2 reordering within the window causes no retransmission",
    script: `${ACCEPTED_SACK}
      write 3000
      ${segments(3)}
      +0.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001,nop,nop>
      +0.005 < . 1:1(0) ack 2001 win 65535
      +0    < . 1:1(0) ack 3001 win 65535
      +0.3  > nothing
    `,
    notOnLinux: "five milliseconds are too fine for real time",
  },
  {
    title:
      "RFC 6298 §5.4, §5.5 after a timeout the oldest segment is sent alone; slow start follows",
    script: `${ACCEPTED}
      write 5000
      ${segments(5)}
      +0.15~0.35 > . 1:1001(1000) ack 1
      +0.01 < . 1:1(0) ack 1001 win 65535
      +0    > . 1001:2001(1000) ack 1
      +0    > . 2001:3001(1000) ack 1
      +0.01 < . 1:1(0) ack 5001 win 65535
    `,
  },
  {
    title: "RFC 6298 §3 Karn: a retransmitted segment gives no sample, the backed-off RTO stays",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.15~0.35 > P. 1:101(100) ack 1
      +0.35~0.6 > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
      write 100
      +0    > P. 101:201(100) ack 1
      +0.7~1.1 > P. 101:201(100) ack 1
    `,
  },
  {
    title: "RFC 6298 §2 the RTO follows the RTT",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.3  < . 1:1(0) ack 1 win 65535
      accept
      write 100
      +0    > P. 1:101(100) ack 1
      +0.45~1 > P. 1:101(100) ack 1
    `,
  },
  {
    title: "RFC 6298 §5.5 backoff doubles up to a limit of at least 60 s",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.1~0.5 > P. 1:101(100) ack 1
      +0.3~0.6 > P. 1:101(100) ack 1
      +0.7~1.2 > P. 1:101(100) ack 1
      +1.4~2.4 > P. 1:101(100) ack 1
      +2.8~4.8 > P. 1:101(100) ack 1
      +5~10 > P. 1:101(100) ack 1
      +10~20 > P. 1:101(100) ack 1
      +20~40 > P. 1:101(100) ack 1
      +40~80 > P. 1:101(100) ack 1
      +60~120 > P. 1:101(100) ack 1
      +60~120 > P. 1:101(100) ack 1
    `,
    notOnLinux: "it takes minutes",
  },
  {
    title: "RFC 5682 §2.1 F-RTO: an ACK beyond the retransmission lets new data go, not old",
    script: `${ACCEPTED_50_MS}
      write 14000
      ${segments(10)}
      +0.2~0.45 > . 1:1001(1000) ack 1
      +0.02 < . 1:1(0) ack 1001 win 65535
      +0    > . 10001:11001(1000) ack 1
      +0    > . 11001:12001(1000) ack 1
      +0.02 < . 1:1(0) ack 2001 win 65535
      +0    > . 12001:13001(1000) ack 1
    `,
  },
  {
    title: "RFC 5682 §2.1 F-RTO: a duplicate ACK after the retransmission means a real loss",
    script: `${ACCEPTED_50_MS}
      write 14000
      ${segments(10)}
      +0.2~0.45 > . 1:1001(1000) ack 1
      +0.05 < . 1:1(0) ack 1001 win 65535
      +0    > . 10001:11001(1000) ack 1
      +0    > . 11001:12001(1000) ack 1
      +0.05 < . 1:1(0) ack 1001 win 65535
      +0~0.05 > . 1001:2001(1000) ack 1
    `,
  },
  {
    title: "§7.4 a probe that was not needed changes nothing",
    script: `${ACCEPTED_SACK}
      write 2000
      ${segments(2)}
      +0.09~0.2 > P. 1001:2001(1000) ack 1
      +0    < . 1:1(0) ack 2001 win 65535
      +0.05 < . 1:1(0) ack 2001 win 65535 <sack 1001:2001,nop,nop>
      write 10000
      ${segments(10, 2001)}
    `,
  },
  {
    title: "RFC 3708 §3 a loss that a duplicate report disproves is undone",
    script: `${ACCEPTED_SACK}
      write 10000
      ${segments(10)}
      +0.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001,nop,nop>
      +0    < . 1:1(0) ack 1 win 65535 <sack 1001:3001,nop,nop>
      +0    < . 1:1(0) ack 1 win 65535 <sack 1001:4001,nop,nop>
      +0~0.02 > . 1:1001(1000) ack 1
      +0.02 < . 1:1(0) ack 10001 win 65535
      +0.02 < . 1:1(0) ack 10001 win 65535 <sack 1:1001,nop,nop>
      write 10000
      ${segments(10, 10_001)}
    `,
  },
];
