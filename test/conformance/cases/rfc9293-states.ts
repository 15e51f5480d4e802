/** RFC 9293 §3.10.7: what each state does with each kind of segment. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED, CONNECTED, TIME_WAIT } from "./handshakes.js";

const HALF_OPEN = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 <...>
`;
const SYN_SENT = `
  connect
  +0    > S 0:0(0) <...>
`;

export const RFC9293_STATES: readonly ConformanceCase[] = [
  {
    title: "§3.10.7.1 CLOSED: a segment with ACK is answered with RST at its acknowledgment number",
    script: `
      +0    < . 1:1(0) ack 77 win 65535
      +0    > [rawseq=77] R 0:0(0)
    `,
  },
  {
    title: "§3.10.7.1 CLOSED: a segment without ACK is answered with RST that covers its length",
    script: `
      +0    < P 1:101(100) win 65535
      +0    > [rawseq=0] R. 0:0(0) ack 101
    `,
  },
  {
    title: "§3.10.7.1 CLOSED: RST is not answered",
    script: `
      +0    < R 0:0(0) win 0
      +0    < R. 0:0(0) ack 1 win 0
      +0.1  > nothing
    `,
  },
  {
    title: "§3.10.7.2 LISTEN: RST is ignored",
    script: `
      listen
      +0    < R 0:0(0) win 0
      +0.1  > nothing
    `,
  },
  {
    title: "§3.10.7.2 LISTEN: any ACK is answered with RST",
    script: `
      listen
      +0    < . 1:1(0) ack 77 win 65535
      +0    > [rawseq=77] R 0:0(0)
    `,
  },
  {
    title: "§3.10.7.2 LISTEN: SYN,ACK is answered with RST",
    script: `
      listen
      +0    < S. 1:1(0) ack 77 win 65535
      +0    > [rawseq=77] R 0:0(0)
    `,
  },
  {
    title: "§3.10.7.2 LISTEN: FIN or data without SYN and ACK is dropped",
    script: `
      listen
      +0    < F 0:0(0) win 65535
      +0    < P 1:101(100) win 65535
      +0    < - 1:1(0) win 65535
      +0.1  > nothing
    `,
  },
  {
    title: "§3.10.7.2 LISTEN: data in a SYN is not acknowledged, and may come again",
    script: `
      listen
      +0    < S 0:10(10) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < P. 1:11(10) ack 1 win 65535
      accept
      +0~0.05 > . 1:1(0) ack 11
      read 10
    `,
  },
  {
    title: "§3.10.7.3 SYN-SENT: RST with an acceptable ACK refuses the connection",
    script: `${SYN_SENT}
      +0.01 < R. 0:0(0) ack 1 win 0
      +0    error = ECONNREFUSED
    `,
  },
  {
    title: "§3.10.7.3 SYN-SENT: RST without ACK is ignored",
    script: `${SYN_SENT}
      +0.01 < R 0:0(0) win 0
      +0    < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
    `,
  },
  {
    title: "§3.10.7.3 SYN-SENT: RST with an unacceptable ACK is ignored",
    script: `${SYN_SENT}
      +0.01 < R. 0:0(0) ack 100 win 0
      +0    < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
    `,
  },
  {
    title: "§3.10.7.3 SYN-SENT: SYN,ACK of what was not sent is answered with RST, and it waits on",
    script: `${SYN_SENT}
      +0.01 < S. 0:0(0) ack 100 win 65535 <mss 1000>
      +0    > R 100:100(0)
      +0    < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
    `,
  },
  {
    title: "§3.10.7.3 SYN-SENT: an acceptable ACK without SYN is dropped",
    script: `${SYN_SENT}
      +0.01 < . 0:0(0) ack 1 win 65535
      +0.1  > nothing
    `,
  },
  {
    title: "§3.10.7.3 SYN-SENT: data of a SYN,ACK may come again",
    script: `${SYN_SENT}
      +0.01 < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
      +0    < P. 1:11(10) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 11
      read 10
    `,
  },
  {
    title: "§3.5.2 SYN-RECEIVED: RST ends a passive attempt, and the listener goes on",
    script: `${HALF_OPEN}
      +0.01 < R 1:1(0) win 0
      +0.01 < . 1:1(0) ack 1 win 65535
      +0    > R 1:1(0)
      accept = EAGAIN
    `,
  },
  {
    title: "§3.10.7.4 SYN-RECEIVED: an unacceptable ACK is answered with RST",
    script: `${HALF_OPEN}
      +0.01 < . 1:1(0) ack 500 win 65535
      +0    > R 500:500(0)
    `,
  },
  {
    title: "§3.10.7.4 SYN-RECEIVED: the same SYN again is answered with the same SYN,ACK",
    script: `${HALF_OPEN}
      +0.1  < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
    `,
  },
  {
    title: "§3.10.7.4 SYN-RECEIVED: data with the final ACK is taken",
    script: `${HALF_OPEN}
      +0.01 < P. 1:101(100) ack 1 win 65535
      accept
      +0~0.05 > . 1:1(0) ack 101
      read 100
    `,
  },
  {
    title: "§3.10.7.4 SYN-RECEIVED: FIN with the final ACK leads to CLOSE-WAIT",
    script: `${HALF_OPEN}
      +0.01 < F. 1:1(0) ack 1 win 65535
      accept
      +0~0.05 > . 1:1(0) ack 2
      read 10 = 0
    `,
  },
  {
    title: "§3.10.7.4 ESTABLISHED: a repeated SYN,ACK is answered with ACK",
    script: `${CONNECTED}
      +0.01 < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
    `,
  },
  {
    title: "§3.10.7.4 a segment without ACK, SYN and RST is dropped",
    script: `${ACCEPTED}
      +0    < P 1:101(100) win 65535
      +0.1  > nothing
      read 100 = EAGAIN
    `,
  },
  {
    title: "§3.10.7.4 data beyond the window is answered with ACK and not kept",
    script: `${ACCEPTED}
      +0    < P. 900001:900101(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      read 100 = EAGAIN
    `,
  },
  {
    title: "§3.10.7.4 an old ACK is ignored, the data with it is taken",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
      +0    < P. 1:101(100) ack 51 win 65535
      +0~0.05 > . 101:101(0) ack 101
      read 100
    `,
  },
  {
    title: "§3.10.7.4 a segment that overlaps on the left is trimmed",
    script: `${ACCEPTED}
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      +0    < P. 51:151(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 151
      read 150
    `,
  },
  {
    title: "§3.10.7.4 a segment that overlaps what waits out of order is joined with it",
    script: `${ACCEPTED}
      +0    < P. 101:201(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      +0    < P. 51:151(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      +0    < P. 1:51(50) ack 1 win 65535
      +0    > . 1:1(0) ack 201
      read 200
    `,
  },
  {
    title: "§3.10.7.4 a segment that covers what waits out of order replaces it",
    script: `${ACCEPTED}
      +0    < P. 101:201(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      +0    < P. 301:401(100) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      +0    < P. 1:501(500) ack 1 win 65535
      +0    > . 1:1(0) ack 501
      read 500
      read 10 = EAGAIN
    `,
  },
  {
    title: "§3.10.7.4 FIN with data is taken after the data",
    script: `${ACCEPTED}
      +0    < FP. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 102
      read 100
      read 100 = 0
    `,
  },
  {
    title: "§3.10.7.4 FIN that comes before missing data waits for it",
    script: `${ACCEPTED}
      +0    < F. 101:101(0) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      read 100 = EAGAIN
      +0    < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 102
      read 100
      read 100 = 0
    `,
  },
  {
    title:
      "§3.10.7.4 CLOSE-WAIT: the FIN of a host that closes at once carries the ACK of the peer's",
    script: `${ACCEPTED}
      +0    < F. 1:1(0) ack 1 win 65535
      close
      +0    > F. 1:1(0) ack 2
      +0.01 < . 2:2(0) ack 2 win 65535
      +0.1  > nothing
    `,
  },
  {
    title: "§3.10.7.4 CLOSE-WAIT: FIN again is acknowledged again",
    script: `${ACCEPTED}
      +0    < F. 1:1(0) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 2
      +0.1  < F. 1:1(0) ack 1 win 65535
      +0    > . 1:1(0) ack 2
    `,
  },
  {
    title: "§3.10.7.4 CLOSE-WAIT: data after FIN is not delivered",
    script: `${ACCEPTED}
      +0    < F. 1:1(0) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 2
      +0    < P. 2:102(100) ack 1 win 65535
      +0.1  read 100 = 0
    `,
  },
  {
    title: "§3.10.7.4 CLOSE-WAIT: RST ends the connection, and writing says EPIPE",
    script: `${ACCEPTED}
      +0    < F. 1:1(0) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 2
      +0    < R 2:2(0) win 0
      write 10 = EPIPE
    `,
  },
  {
    title: "§3.10.7.4 FIN-WAIT-1: FIN that acknowledges the host's FIN leads to TIME-WAIT",
    script: `${ACCEPTED}
      close
      +0    > F. 1:1(0) ack 1
      +0.01 < F. 1:1(0) ack 2 win 65535
      +0    > . 2:2(0) ack 2
      +0.6  < F. 1:1(0) ack 2 win 65535
      +0    > . 2:2(0) ack 2
    `,
  },
  {
    title: "§3.10.7.4 FIN-WAIT-1: RST ends the connection",
    script: `${ACCEPTED}
      close
      +0    > F. 1:1(0) ack 1
      +0.01 < R 1:1(0) win 0
      +0    < . 1:1(0) ack 2 win 65535
      +0    > R 2:2(0)
    `,
  },
  {
    title: "§3.10.7.4 FIN-WAIT-2: RST ends the connection",
    script: `${ACCEPTED}
      shutdown wr
      +0    > F. 1:1(0) ack 1
      +0.01 < . 1:1(0) ack 2 win 65535
      +0    < R 1:1(0) win 0
      read 10 = ECONNRESET
      +0    < . 1:1(0) ack 2 win 65535
      +0    > R 2:2(0)
    `,
  },
  {
    title: "§3.6.1 SHLD-3 FIN-WAIT-2 after close: data that nobody can read is answered with RST",
    script: `${ACCEPTED}
      close
      +0    > F. 1:1(0) ack 1
      +0.01 < . 1:1(0) ack 2 win 65535
      +0    < P. 1:101(100) ack 2 win 65535
      +0    > [anyack] R 2:2(0)
    `,
  },
  {
    title: "§3.10.7.4 FIN-WAIT-1: data is taken while the program may still read",
    script: `${ACCEPTED}
      shutdown wr
      +0    > F. 1:1(0) ack 1
      +0.01 < P. 1:101(100) ack 1 win 65535
      +0~0.05 > . 2:2(0) ack 101
      read 100
    `,
  },
  {
    title: "§3.10.7.4 LAST-ACK: the final ACK closes for good",
    script: `${ACCEPTED}
      +0    < F. 1:1(0) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 2
      close
      +0    > F. 1:1(0) ack 2
      +0.01 < . 2:2(0) ack 2 win 65535
      +0    < . 2:2(0) ack 2 win 65535
      +0    > R 2:2(0)
    `,
  },
  {
    title: "§3.10.7.4 TIME-WAIT: a SYN that is not beyond the old connection gets an ACK",
    script: `${TIME_WAIT}
      +0.6  < S 0:0(0) win 65535 <mss 1000>
      +0    > . 2:2(0) ack 2
    `,
  },
  {
    title: "§3.6.1 MAY-2 TIME-WAIT: a SYN beyond the old connection opens a new one",
    script: `${TIME_WAIT}
      +0.1  < S 5000:5000(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 5001 <...>
      +0.01 < . 5001:5001(0) ack 1 win 65535
      accept
      write 10
      +0    > P. 1:11(10) ack 5001
    `,
  },
  {
    title: "§3.6.1 MUST-13 TIME-WAIT ends after two segment lifetimes",
    script: `${TIME_WAIT}
      +241  < F. 1:1(0) ack 2 win 65535
      +0    > R 2:2(0)
    `,
    notOnLinux: "it takes minutes",
  },
  {
    title: "§3.10.7.4 TIME-WAIT: RST ends it (RFC 1337's first fix is not the default)",
    script: `${TIME_WAIT}
      +0.1  < R 2:2(0) win 0
      +0    < F. 1:1(0) ack 2 win 65535
      +0    > R 2:2(0)
    `,
  },
  {
    title: "§3.5.2 SHLD-2 an RST may carry data",
    script: `${ACCEPTED}
      +0    < R 1:11(10) win 0
      read 10 = ECONNRESET
    `,
  },
  {
    title: "§3.10.7.2 LISTEN: SYN with RST is ignored",
    script: `
      listen
      +0    < SR 0:0(0) win 65535 <mss 1000>
      +0.1  > nothing
    `,
  },
  {
    title: "§3.10.7.2 LISTEN: SYN with FIN, which only attackers send, is ignored",
    script: `
      listen
      +0    < SF 0:0(0) win 65535 <mss 1000>
      +0.1  > nothing
    `,
  },
  {
    title: "§3.10.7.4 a connection that is reset before accept is accepted, and reading says so",
    script: `${HALF_OPEN}
      +0.01 < . 1:1(0) ack 1 win 65535
      +0    < R 1:1(0) win 0
      accept
      read 10 = ECONNRESET
    `,
  },
  {
    title: "§3.10.7.4 TIME-WAIT: data are answered with ACK",
    script: `${TIME_WAIT}
      +0.6  < P. 2:12(10) ack 2 win 65535
      +0    > . 2:2(0) ack 2
    `,
  },
  {
    title: "§3.10.7.4 CLOSING: FIN again is acknowledged again",
    script: `${ACCEPTED}
      close
      +0    > F. 1:1(0) ack 1
      +0.01 < F. 1:1(0) ack 1 win 65535
      +0    > . 2:2(0) ack 2
      +0.02 < F. 1:1(0) ack 1 win 65535
      +0    > . 2:2(0) ack 2
    `,
  },
  {
    title: "§3.10.7.4 LAST-ACK: FIN is retransmitted until it is acknowledged",
    script: `${ACCEPTED}
      +0    < F. 1:1(0) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 2
      close
      +0    > F. 1:1(0) ack 2
      +0.15~0.4 > F. 1:1(0) ack 2
      +0.01 < . 2:2(0) ack 2 win 65535
      +0.5  > nothing
    `,
  },
];
