/** Listeners: RFC 4987 (SYN flooding), backlog, TCP_DEFER_ACCEPT, RFC 5482 and RFC 6191. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED, ACCEPTED_TS } from "./handshakes.js";

const open = (connection: number): string => `
  conn ${connection}
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 <...>
  +0    < . 1:1(0) ack 1 win 65535
`;

export const BACKLOG: readonly ConformanceCase[] = [
  {
    title:
      "listen(2) with a full queue of open connections a SYN is dropped, until one is accepted",
    script: `
      listen 1
      ${open(1)}
      ${open(2)}
      conn 3
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0.05 > nothing
      conn 1
      accept
      conn 3
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
    `,
  },
  {
    title: "listen(2) connections are accepted in the order in which they opened",
    script: `
      listen
      conn 1
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      ${open(2)}
      conn 1
      +0    < . 1:1(0) ack 1 win 65535
      conn 2
      accept
      write 10
      +0    > P. 1:11(10) ack 1
      conn 1
      accept
      write 10
      +0    > P. 1:11(10) ack 1
    `,
  },
  {
    title: "RFC 4987 §3.6 with the SYN queue full, SYN cookies still let a client in",
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
  {
    title: "RFC 4987 §3.6 an ACK that is no cookie is answered with RST",
    script: `
      listen 1
      conn 1
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      conn 2
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      conn 3
      +0    < . 1:1(0) ack 12345 win 65535
      +0    > [rawseq=12345] R 0:0(0)
    `,
  },
  {
    title: "RFC 9293 §3.8.3 SYN,ACK is retransmitted with doubled timeouts",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.9~1.2 > S. 0:0(0) ack 1 <...>
      +1.8~2.3 > S. 0:0(0) ack 1 <...>
    `,
  },
  {
    title: "TCP_DEFER_ACCEPT a connection is accepted when its first data comes",
    script: `
      set defer_accept 5
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept = EAGAIN
      +0.05 < P. 1:101(100) ack 1 win 65535
      accept
      +0~0.05 > . 1:1(0) ack 101
      read 100
    `,
  },
  {
    title: "RFC 5482 §3 the user timeout ends a connection whose data is not acknowledged",
    script: `${ACCEPTED}
      set user_timeout 500
      write 100
      +0    > P. 1:101(100) ack 1
      +0.1~0.4 > P. 1:101(100) ack 1
      +1.2  read 10 = ETIMEDOUT
    `,
  },
  {
    title: "RFC 5482 §3 an acknowledgment starts the user timeout again",
    script: `${ACCEPTED}
      set user_timeout 500
      write 100
      +0    > P. 1:101(100) ack 1
      +0.1  < . 1:1(0) ack 101 win 65535
      +0.6  > nothing
      read 10 = EAGAIN
    `,
  },
  {
    title: "RFC 6191 §2 TIME-WAIT: a SYN with a later timestamp opens a new connection",
    script: `${ACCEPTED_TS}
      close
      +0    > F. 1:1(0) ack 1 <...>
      +0.01 < F. 1:1(0) ack 2 win 65535 <nop,nop,TS val 1020 ecr last>
      +0    > . 2:2(0) ack 2 <...>
      +0.01 < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 3000 ecr 0>
      +0    > S. 0:0(0) ack 1 <...>
    `,
  },
  {
    title: "RFC 6191 §2 TIME-WAIT: a SYN with an earlier timestamp does not",
    script: `${ACCEPTED_TS}
      close
      +0    > F. 1:1(0) ack 1 <...>
      +0.01 < F. 1:1(0) ack 2 win 65535 <nop,nop,TS val 1020 ecr last>
      +0    > . 2:2(0) ack 2 <...>
      +0.01 < S 5000:5000(0) win 65535 <mss 1000,sackOK,TS val 900 ecr 0>
      +0    > . 2:2(0) ack 2 <...>
    `,
  },
];
