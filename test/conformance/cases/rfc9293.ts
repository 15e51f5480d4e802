/** RFC 9293, Transmission Control Protocol. */
import type { ConformanceCase } from "../case.js";

/** Three-way handshake with the peer as client; MSS 1000, no other option. */
const ACCEPTED = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 <...>
  +0.01 < . 1:1(0) ack 1 win 65535
  accept
`;

export const RFC9293: readonly ConformanceCase[] = [
  {
    title: "§3.5 a passive open answers SYN with SYN,ACK and data flows both ways",
    script: `${ACCEPTED}
      write 500
      +0    > P. 1:501(500) ack 1
      +0.01 < . 1:1(0) ack 501 win 65535
      +0    < P. 1:101(100) ack 501 win 65535
      +0~0.05 > . 501:501(0) ack 101
      read 100
    `,
  },
  {
    title: "§3.5 an active open sends SYN and answers SYN,ACK with ACK",
    script: `
      connect
      +0    > S 0:0(0) <...>
      +0.01 < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
    `,
  },
  {
    title: "§3.5 MUST-10 simultaneous open: SYN against SYN is answered with SYN,ACK",
    script: `
      connect
      +0    > S 0:0(0) <...>
      +0.01 < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0.05 > anything
      write 10
      +0    > P. 1:11(10) ack 1
    `,
  },
  {
    title: "§3.10.7.1 a segment to a closed port is answered with RST",
    script: `
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > R. 0:0(0) ack 1
    `,
    notOnLinux: "relative numbers of a RST without a connection are those of sequence number zero",
  },
  {
    title: "§3.6 the peer closes first: CLOSE-WAIT, then LAST-ACK",
    script: `${ACCEPTED}
      +0    < F. 1:1(0) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 2
      read 100 = 0
      write 10
      +0    > P. 1:11(10) ack 2
      +0.01 < . 2:2(0) ack 11 win 65535
      close
      +0    > F. 11:11(0) ack 2
      +0.01 < . 2:2(0) ack 12 win 65535
      +0.1  > nothing
    `,
  },
  {
    title:
      "§3.6 MUST-13 the host closes first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT acknowledges again",
    script: `${ACCEPTED}
      close
      +0    > F. 1:1(0) ack 1
      +0.01 < . 1:1(0) ack 2 win 65535
      +0.01 < F. 1:1(0) ack 2 win 65535
      +0    > . 2:2(0) ack 2
      +0.6  < F. 1:1(0) ack 2 win 65535
      +0    > . 2:2(0) ack 2
    `,
  },
  {
    title: "§3.6 simultaneous close goes through CLOSING",
    script: `${ACCEPTED}
      close
      +0    > F. 1:1(0) ack 1
      +0.01 < F. 1:1(0) ack 1 win 65535
      +0    > . 2:2(0) ack 2
      +0.01 < . 2:2(0) ack 2 win 65535
      +0.1  > nothing
    `,
  },
  {
    title: "§3.6 half-close: the peer may go on sending after the host's FIN",
    script: `${ACCEPTED}
      shutdown wr
      +0    > F. 1:1(0) ack 1
      +0.01 < . 1:1(0) ack 2 win 65535
      +0    < P. 1:301(300) ack 2 win 65535
      +0~0.05 > . 2:2(0) ack 301
      read 300
      +0    < F. 301:301(0) ack 2 win 65535
      +0~0.05 > . 2:2(0) ack 302
      read 10 = 0
    `,
  },
  {
    title: "§3.6.1 SHLD-3 close with unread data sends RST",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      close
      +0    > R. 1:1(0) ack 101
    `,
  },
  {
    title:
      "§3.10.7.4 MUST-12 an RST at RCV.NXT resets the connection, and the program learns of it",
    script: `${ACCEPTED}
      +0    < R 1:1(0) win 0
      +0.01 read 10 = ECONNRESET
    `,
  },
  {
    title: "§3.10.7.4 data before RCV.NXT is acknowledged again and not delivered twice",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      +0.1  < P. 1:101(100) ack 1 win 65535
      +0    > . 1:1(0) ack 101 <...>
      read 100
      read 100 = EAGAIN
    `,
  },
  {
    title:
      "§3.10.7.4 SHLD-31, MUST-59 data beyond RCV.NXT is kept, delivered in order, acknowledged together",
    script: `${ACCEPTED}
      +0    < P. 101:201(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1 <...>
      read 100 = EAGAIN
      +0.01 < P. 1:101(100) ack 1 win 65535
      +0    > . 1:1(0) ack 201
      read 200
    `,
  },
  {
    title: "§3.7.4 SHLD-7 Nagle: a second small write waits for the acknowledgment of the first",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      write 100
      +0.05 > nothing
      +0    < . 1:1(0) ack 101 win 65535
      +0    > P. 101:201(100) ack 1
      +0.01 < . 1:1(0) ack 201 win 65535
    `,
  },
  {
    title: "§3.7.4 MUST-17 Nagle can be switched off",
    script: `${ACCEPTED}
      set nodelay 1
      write 100
      +0    > P. 1:101(100) ack 1
      write 100
      +0    > P. 101:201(100) ack 1
      +0.01 < . 1:1(0) ack 201 win 65535
    `,
  },
  {
    title: "§3.8.1 MUST-19 RTO backs off by doubling",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +*    > P. 1:101(100) ack 1
      +*    > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
    `,
  },
  {
    title: "§3.8.6.1 MUST-35 a zero window is probed, and opening it lets data flow",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 0
      write 100
      +0.1~0.5 > . 100:100(0) ack 1
      +0.01 < . 1:1(0) ack 101 win 0
      +0.2~0.8 > . 100:100(0) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
      +0    > P. 101:201(100) ack 1
      +0.01 < . 1:1(0) ack 201 win 65535
    `,
  },
  {
    title: "§3.8.5 MUST-30, MUST-62 urgent data is announced by URG and the urgent pointer",
    script: `${ACCEPTED}
      write 1 oob
      +0    > PU. 1:2(1) ack 1 urg 1
      +0.01 < . 1:1(0) ack 2 win 65535
    `,
  },
  {
    title: "§3.7.1 MUST-15 without an MSS option segments carry at most 536 bytes",
    script: `
      listen
      +0    < S 0:0(0) win 65535
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1000
      +0    > . 1:537(536) ack 1
      +0    > P. 537:1001(464) ack 1
      +0.01 < . 1:1(0) ack 1001 win 65535
    `,
  },
];
