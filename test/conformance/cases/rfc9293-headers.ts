/** RFC 9293 §3.1, §3.2, §3.7.1: headers, options, maximum segment size. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED, CONNECTED } from "./handshakes.js";

export const RFC9293_HEADERS: readonly ConformanceCase[] = [
  {
    title: "§3.1 MUST-2, MUST-3 a segment with a wrong checksum is dropped in silence",
    script: `${ACCEPTED}
      +0    < [badsum] P. 1:101(100) ack 1 win 65535
      +0.1  > nothing
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      read 100
    `,
  },
  {
    title: "§3.1 a SYN with a wrong checksum is dropped in silence",
    script: `
      listen
      +0    < [badsum] S 0:0(0) win 65535 <mss 1000>
      +0.1  > nothing
    `,
  },
  {
    title: "§3.1 reserved bits are ignored in what arrives",
    script: `${ACCEPTED}
      +0    < [rsv] P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      read 100
    `,
  },
  {
    title: "§3.1 a data offset below five words is dropped in silence",
    script: `${ACCEPTED}
      +0    < [doff=4] P. 1:101(100) ack 1 win 65535
      +0.1  > nothing
      read 100 = EAGAIN
    `,
  },
  {
    title: "§3.1 a data offset beyond the end of the segment is dropped in silence",
    script: `${ACCEPTED}
      +0    < [doff=15] P. 1:11(10) ack 1 win 65535
      +0.1  > nothing
      read 100 = EAGAIN
    `,
  },
  {
    title: "§3.1 MUST-4, MUST-6 an unknown option in a SYN is skipped by its length",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <raw fd06aabbccdd,mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1500
      +0    > . 1:1001(1000) ack 1
    `,
  },
  {
    title: "§3.1 MUST-5, MUST-6 an unknown option in a data segment is ignored",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535 <raw fd06aabbccdd>
      +0~0.05 > . 1:1(0) ack 101
      read 100
    `,
  },
  {
    title: "§3.1 MUST-7 an option of length zero ends option reading and harms nothing",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,raw fd000000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1500
      +0    > . 1:1001(1000) ack 1
    `,
  },
  {
    title: "§3.1 MUST-7 an option that reaches beyond the header harms nothing",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,raw fdff0000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1500
      +0    > . 1:1001(1000) ack 1
    `,
  },
  {
    title: "§3.2 MUST-64 options need not begin on word boundaries",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <nop,mss 1000,nop,nop>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1500
      +0    > . 1:1001(1000) ack 1
    `,
  },
  {
    title: "§3.2 options after End of Option List are not read",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <eol,mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1000
      +0    > . 1:537(536) ack 1
    `,
  },
  {
    title: "§3.2 an MSS option of the wrong length is ignored",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <raw 020303,nop>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1000
      +0    > . 1:537(536) ack 1
    `,
  },
  {
    title: "§3.2 an MSS option outside of a SYN is ignored",
    script: `${ACCEPTED}
      +0    < P. 1:11(10) ack 1 win 65535 <mss 100>
      +0~0.05 > . 1:1(0) ack 11
      write 1000
      +0    > P. 1:1001(1000) ack 11
    `,
  },
  {
    title: "§3.7.1 MUST-14, SHLD-5 every SYN carries an MSS option that says the MTU less 40",
    script: `
      listen
      +0    < S 0:0(0) win 65535
      +0    > S. 0:0(0) ack 1 <mss 1460>
    `,
  },
  {
    title: "§3.7.1 MUST-16 segments are no larger than the own MTU allows, whatever the peer takes",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 9000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 3000
      +0    > . 1:1461(1460) ack 1
      +0    > . 1461:2921(1460) ack 1
    `,
  },
  {
    title: "§3.7.1 MUST-16 options that every segment carries make its data smaller",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 1 ecr 0>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 2 ecr last>
      accept
      write 2000
      +0    > . 1:989(988) ack 1
      +0    > . 989:1977(988) ack 1
    `,
  },
  {
    title: "§3.7.1 MUST-14 an active opener takes the MSS of SYN,ACK",
    script: `${CONNECTED}
      write 1500
      +0    > . 1:1001(1000) ack 1
      +0    > P. 1001:1501(500) ack 1
    `,
  },
  {
    title: "§3.7.1 TCP_MAXSEG lowers the MSS that is offered and used",
    script: `
      set maxseg 700
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <mss 700>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1000
      +0    > . 1:701(700) ack 1
    `,
  },
];
