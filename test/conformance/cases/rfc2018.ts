/** RFC 2018, Selective Acknowledgment, and RFC 2883, its extension for duplicates. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED_SACK, ACCEPTED_TS, segments } from "./handshakes.js";

const ACCEPTED = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000,sackOK>
  +0    > S. 0:0(0) ack 1 <mss 1460,sackOK>
  +0.01 < . 1:1(0) ack 1 win 65535
  accept
`;

export const RFC2018: readonly ConformanceCase[] = [
  {
    title: "§4 the first block holds the segment that triggered the ACK, recent blocks follow",
    script: `${ACCEPTED}
      +0    < P. 101:201(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 101:201>
      +0    < P. 301:401(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 301:401 101:201>
      +0    < P. 501:601(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 501:601 301:401 101:201>
      +0    < P. 201:301(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 101:401 501:601>
      +0    < P. 1:101(100) ack 1 win 65535
      +0    > . 1:1(0) ack 401 <sack 501:601>
      +0    < P. 401:501(100) ack 1 win 65535
      +0    > . 1:1(0) ack 601 <>
      read 600
    `,
  },
  {
    title: "§2 SACK is not used when the SYN did not permit it",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <mss 1460>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      +0    < P. 101:201(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <>
    `,
  },
  {
    title: "§5 only what is missing is sent again after a loss",
    script: `${ACCEPTED}
      write 5000
      +0    > . 1:1001(1000) ack 1
      +0    > . 1001:2001(1000) ack 1
      +0    > . 2001:3001(1000) ack 1
      +0    > . 3001:4001(1000) ack 1
      +0    > P. 4001:5001(1000) ack 1
      +0.01 < . 1:1(0) ack 1001 win 65535
      +0    < . 1:1(0) ack 1001 win 65535 <sack 2001:3001,nop,nop>
      +0    < . 1:1(0) ack 1001 win 65535 <sack 2001:4001,nop,nop>
      +0    < . 1:1(0) ack 1001 win 65535 <sack 2001:5001,nop,nop>
      +0    > . 1001:2001(1000) ack 1
      +0.01 < . 1:1(0) ack 5001 win 65535
      +0.3  > nothing
    `,
  },
  {
    title: "RFC 2883 §4 a duplicate of acknowledged data is reported as the first block",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      +0.1  < P. 1:101(100) ack 1 win 65535
      +0    > . 1:1(0) ack 101 <sack 1:101>
    `,
  },
  {
    title:
      "RFC 2883 §4 a duplicate of out-of-order data is reported before the block that holds it",
    script: `${ACCEPTED}
      +0    < P. 201:301(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 201:301>
      +0    < P. 201:301(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 201:301 201:301>
    `,
  },
  {
    title: "§3 at most four blocks are reported without timestamps, the newest first",
    script: `${ACCEPTED}
      +0    < P. 101:201(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 101:201>
      +0    < P. 301:401(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 301:401 101:201>
      +0    < P. 501:601(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 501:601 301:401 101:201>
      +0    < P. 701:801(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 701:801 501:601 301:401 101:201>
      +0    < P. 901:1001(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <sack 901:1001 701:801 501:601 301:401>
    `,
  },
  {
    title: "§3 at most three blocks are reported with timestamps",
    script: `${ACCEPTED_TS}
      +0    < P. 101:201(100) ack 1 win 65535 <nop,nop,TS val 1020 ecr last>
      +0    > . 1:1(0) ack 1 <nop,nop,TS val * ecr 1010,sack 101:201>
      +0    < P. 301:401(100) ack 1 win 65535 <nop,nop,TS val 1020 ecr last>
      +0    > . 1:1(0) ack 1 <nop,nop,TS val * ecr 1010,sack 301:401 101:201>
      +0    < P. 501:601(100) ack 1 win 65535 <nop,nop,TS val 1020 ecr last>
      +0    > . 1:1(0) ack 1 <nop,nop,TS val * ecr 1010,sack 501:601 301:401 101:201>
      +0    < P. 701:801(100) ack 1 win 65535 <nop,nop,TS val 1020 ecr last>
      +0    > . 1:1(0) ack 1 <nop,nop,TS val * ecr 1010,sack 701:801 501:601 301:401>
    `,
  },
  {
    title: "§5 several holes are filled without sending again what was selectively acknowledged",
    script: `${ACCEPTED_SACK}
      write 8000
      ${segments(8)}
      +0.05 < . 1:1(0) ack 1 win 65535 <sack 1001:2001,nop,nop>
      +0    < . 1:1(0) ack 1 win 65535 <sack 3001:4001 1001:2001,nop,nop>
      +0    < . 1:1(0) ack 1 win 65535 <sack 3001:8001 1001:2001,nop,nop>
      +0~0.03 > . 1:1001(1000) ack 1
      +0~0.03 > . 2001:3001(1000) ack 1
      +0.05 < . 1:1(0) ack 8001 win 65535
      +0.3  > nothing
    `,
  },
  {
    title: "§3 SACK blocks outside of what was sent are ignored",
    script: `${ACCEPTED_SACK}
      write 3000
      ${segments(3)}
      +0.05 < . 1:1(0) ack 1 win 65535 <sack 5001:6001,nop,nop>
      +0    < . 1:1(0) ack 1 win 65535 <sack 6001:7001,nop,nop>
      +0    < . 1:1(0) ack 3001 win 65535
      +0.3  > nothing
    `,
  },
  {
    title: "RFC 2883 §4.2 what a segment repeats in part is reported",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      +0    < P. 51:151(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 151 <sack 51:101>
    `,
  },
  {
    title: "RFC 2883 §4 a duplicate report is sent once",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      +0.1  < P. 1:101(100) ack 1 win 65535
      +0    > . 1:1(0) ack 101 <sack 1:101>
      +0    < P. 101:201(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 201 <>
    `,
  },
];
