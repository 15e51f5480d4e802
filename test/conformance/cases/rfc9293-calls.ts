/** RFC 9293 §3.6 to §3.9: closing, retransmission, windows, urgent data, what programs see. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED, CONNECTED } from "./handshakes.js";

export const RFC9293_CALLS: readonly ConformanceCase[] = [
  {
    title: "§3.6 CLOSE sends what is queued before FIN",
    script: `${ACCEPTED}
      write 100
      close
      +0    > P. 1:101(100) ack 1
      +0    > F. 101:101(0) ack 1
      +0.01 < . 1:1(0) ack 102 win 65535
    `,
  },
  {
    title: "§3.6 after shutdown of the sending side, writing says EPIPE",
    script: `${ACCEPTED}
      shutdown wr
      +0    > F. 1:1(0) ack 1
      write 10 = EPIPE
    `,
  },
  {
    title: "§3.6 FIN is retransmitted",
    script: `${ACCEPTED}
      close
      +0    > F. 1:1(0) ack 1
      +0.15~0.35 > F. 1:1(0) ack 1
      +0.01 < . 1:1(0) ack 2 win 65535
    `,
  },
  {
    title: "§3.10.5 ABORT (linger of zero) sends RST",
    script: `${ACCEPTED}
      set linger 0
      close
      +0    > R. 1:1(0) ack 1
    `,
  },
  {
    title: "§3.10.5 ABORT forgets what was queued",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      write 100
      set linger 0
      close
      +0    > R. 101:101(0) ack 1
      +0.5  > nothing
    `,
  },
  {
    title: "§3.10.4 closing a connection that is being opened sends nothing more",
    script: `
      connect
      +0    > S 0:0(0) <...>
      close
      +0.01 < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > R 1:1(0)
    `,
  },
  {
    title: "§3.10.4 closing a listener resets what was not accepted",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      unlisten
      +0    > R. 1:1(0) ack 1
    `,
  },
  {
    title: "§3.7.4 MSG_MORE keeps a small segment until there is more",
    script: `${ACCEPTED}
      write 100 more
      +0.1  > nothing
      write 100
      +0    > P. 1:201(200) ack 1
    `,
  },
  {
    title: "§3.7.4 TCP_CORK keeps a small segment until it is lifted",
    script: `${ACCEPTED}
      set cork 1
      write 100
      write 100
      +0.1  > nothing
      set cork 0
      +0    > P. 1:201(200) ack 1
    `,
  },
  {
    title: "§3.7.4 TCP_CORK lets full segments go, and the rest after 200 ms",
    script: `${ACCEPTED}
      set cork 1
      write 1500
      +0    > . 1:1001(1000) ack 1
      +0.01 < . 1:1(0) ack 1001 win 65535
      +0.15~0.35 > P. 1001:1501(500) ack 1
    `,
  },
  {
    title: "§3.7.4 MUST-17 switching Nagle off lets waiting data go",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      write 100
      +0.02 > nothing
      set nodelay 1
      +0    > P. 101:201(100) ack 1
    `,
  },
  {
    title: "§3.7.4 Nagle: several small writes that wait go in one segment",
    script: `${ACCEPTED}
      write 10
      +0    > P. 1:11(10) ack 1
      write 10
      write 10
      write 10
      +0    < . 1:1(0) ack 11 win 65535
      +0    > P. 11:41(30) ack 1
    `,
  },
  {
    title: "§3.8.6 no more is sent than the window takes",
    script: `
      listen
      +0    < S 0:0(0) win 2000 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 2000
      accept
      write 4000
      +0    > . 1:1001(1000) ack 1
      +0    > . 1001:2001(1000) ack 1
      +0.05 > nothing
      +0    < . 1:1(0) ack 2001 win 1000
      +0    > . 2001:3001(1000) ack 1
      +0.05 > nothing
      +0    < . 1:1(0) ack 3001 win 1000
      +0    > P. 3001:4001(1000) ack 1
    `,
  },
  {
    title: "§3.8.6.2.1 MUST-38 the sender avoids silly windows: no fraction of a segment at once",
    script: `
      listen
      +0    < S 0:0(0) win 4000 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 4000
      accept
      write 2000
      +0    > . 1:1001(1000) ack 1
      +0    > . 1001:2001(1000) ack 1
      +0    < . 1:1(0) ack 2001 win 300
      write 1000
      +0.1  > nothing
      +0    < . 1:1(0) ack 2001 win 2000
      +0    > P. 2001:3001(1000) ack 1
    `,
  },
  {
    title: "§3.8.6.2.1 a window that stays small is used after the override timeout",
    script: `
      listen
      +0    < S 0:0(0) win 4000 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 4000
      accept
      write 1000
      +0    > P. 1:1001(1000) ack 1
      +0    < . 1:1(0) ack 1001 win 300
      write 1000
      +0.1~0.9 > . 1001:1301(300) ack 1
    `,
  },
  {
    title: "§3.8.6 MUST-34, SHLD-15 a window that shrinks stops new data",
    script: `${ACCEPTED}
      +0    < P. 1:11(10) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 11
      write 1000
      +0    > P. 1:1001(1000) ack 11
      +0.01 < P. 11:21(10) ack 1 win 500
      +0~0.05 > . 1001:1001(0) ack 21
      set nodelay 1
      write 1000
      +0.05 > nothing
      +0    < . 21:21(0) ack 1001 win 65535
      +0    > P. 1001:2001(1000) ack 21
    `,
    notOnLinux: "its ACKs carry the edge of the window that shrank, not SND.NXT",
  },
  {
    title:
      "§3.8.6.1 MUST-36, SHLD-29, SHLD-30 zero-window probes back off, and go on while answered",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 0
      write 100
      +0.1~0.4 > . 100:100(0) ack 1
      +0.01 < . 1:1(0) ack 101 win 0
      +0.2~0.7 > . 100:100(0) ack 1
      +0.01 < . 1:1(0) ack 101 win 0
      +0.5~1.3 > . 100:100(0) ack 1
      +0.01 < . 1:1(0) ack 101 win 0
      +1.1~2.5 > . 100:100(0) ack 1
      +0.01 < . 1:1(0) ack 101 win 65535
      +0    > P. 101:201(100) ack 1
    `,
  },
  {
    title:
      "§3.8.6.1 MUST-37 a connection with a zero window is kept for hours while probes are answered",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 101 win 0
      write 100
      ${Array.from({ length: 40 }, () => "+0.1~130 > . 100:100(0) ack 1\n+0.01 < . 1:1(0) ack 101 win 0").join("\n")}
      +0.01 < . 1:1(0) ack 101 win 65535
      +0    > P. 101:201(100) ack 1
    `,
    notOnLinux: "it takes an hour",
  },
  {
    title: "§3.8.1 a window update while nothing waits causes no segment",
    script: `${ACCEPTED}
      +0    < . 1:1(0) ack 1 win 1000
      +0    < . 1:1(0) ack 1 win 65535
      +0.1  > nothing
    `,
  },
  {
    title: "§3.8.4 MUST-25 keep-alives are off by default",
    script: `${ACCEPTED}
      +7300 > nothing
    `,
    notOnLinux: "it takes two hours",
  },
  {
    title: "§3.8.4 a keep-alive that arrives is answered",
    script: `${ACCEPTED}
      +0    < . 0:0(0) ack 1 win 65535
      +0    > . 1:1(0) ack 1
    `,
  },
  {
    title: "§3.8.4 MUST-28 keep-alive: after two hours by default",
    script: `${ACCEPTED}
      set keepalive 1
      +7200 > . 0:0(0) ack 1
      +0.01 < . 1:1(0) ack 1 win 65535
    `,
    notOnLinux: "it takes two hours",
  },
  {
    title: "§3.8.4 keep-alive with a byte of rubbish is answered and not delivered",
    script: `${ACCEPTED}
      +0    < . 0:1(1) ack 1 win 65535
      +0    > . 1:1(0) ack 1
      read 10 = EAGAIN
    `,
  },
  {
    title: "§3.8.4 MUST-26 no keep-alive while there is traffic",
    script: `${ACCEPTED}
      set keepidle 1
      set keepalive 1
      +0.6  < P. 1:11(10) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 11
      +0.7  > nothing
      +0.1~0.5 > . 0:0(0) ack 11
    `,
  },
  {
    title: "§3.8.5 MUST-30, MUST-31 urgent data of any length can be sent",
    script: `${ACCEPTED}
      write 30 oob
      +0    > PU. 1:31(30) ack 1 urg 30
    `,
  },
  {
    title: "§3.8.5 MUST-32 the program learns of urgent data, reads it apart, and finds the mark",
    script: `${ACCEPTED}
      +0    < PU. 1:11(10) ack 1 win 65535 urg 10
      +0~0.05 > . 1:1(0) ack 11
      poll = IN|PRI|OUT
      atmark = 0
      read 1 oob
      read 100 = 9
      atmark = 1
    `,
  },
  {
    title: "§3.8.5 MUST-33 urgent data in line: reading stops at the mark",
    script: `${ACCEPTED}
      set oobinline 1
      +0    < PU. 1:11(10) ack 1 win 65535 urg 5
      +0~0.05 > . 1:1(0) ack 11
      atmark = 0
      read 100 = 4
      atmark = 1
      read 100 = 6
    `,
  },
  {
    title: "§3.8.5 urgent data that the pointer announces before it comes",
    script: `${ACCEPTED}
      +0    < PU. 1:11(10) ack 1 win 65535 urg 20
      +0~0.05 > . 1:1(0) ack 11
      poll = IN|OUT
      read 1 oob = EAGAIN
      +0    < P. 11:21(10) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 21
      poll = IN|PRI|OUT
      read 1 oob
    `,
  },
  {
    title: "§3.8.5 reading urgent data where there is none says EINVAL",
    script: `${ACCEPTED}
      read 1 oob = EINVAL
    `,
  },
  {
    title: "§3.8.3 MUST-22 R2 of SYN: a connection attempt gives up with ETIMEDOUT",
    script: `
      set syncnt 1
      connect
      +0    > S 0:0(0) <...>
      +0.9~1.2 > S 0:0(0) <...>
      +2.3  error = ETIMEDOUT
    `,
  },
  {
    title:
      "§3.8.3 MUST-20, SHLD-11 R2 of data: the connection lives for at least 100 s, then ETIMEDOUT",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +100  read 10 = EAGAIN
      +2000 read 10 = ETIMEDOUT
    `,
    notOnLinux: "it takes a quarter of an hour",
  },
  {
    title: "§3.9.1 a program may write before the connection is open, and it goes with the ACK",
    script: `
      connect
      +0    > S 0:0(0) <...>
      write 100 = EAGAIN
      poll = 0
      +0.01 < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
      poll = OUT
    `,
  },
  {
    title: "§3.9.1 readiness: open, data, end, both ends",
    script: `${ACCEPTED}
      poll = OUT
      +0    < P. 1:11(10) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 11
      poll = IN|OUT
      unread = 10
      read 10 peek
      read 10
      poll = OUT
      +0    < F. 11:11(0) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 12
      poll = IN|OUT|RDHUP
      shutdown wr
      +0    > F. 1:1(0) ack 12
      poll = IN|OUT|HUP|RDHUP
    `,
  },
  {
    title: "§3.9.1 readiness after RST",
    script: `${ACCEPTED}
      +0    < R 1:1(0) win 0
      poll = IN|OUT|ERR|HUP|RDHUP
      error = ECONNRESET
      error = 0
      read 10 = 0
      write 10 = EPIPE
    `,
  },
  {
    title: "§3.9.1 readiness of a refused connection",
    script: `
      connect
      +0    > S 0:0(0) <...>
      +0.01 < R. 0:0(0) ack 1 win 0
      poll = IN|OUT|ERR|HUP|RDHUP
      error = ECONNREFUSED
    `,
  },
  {
    title: "§3.4.1 MUST-8 two connections of one peer have initial sequence numbers of their own",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      conn 2
      +0    < S 0:0(0) win 65535 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0    < . 1:1(0) ack 1 win 65535
      accept
      conn 1
      +0    < . 1:1(0) ack 1 win 65535
      accept
      write 10
      +0    > P. 1:11(10) ack 1
      conn 2
      write 10
      +0    > P. 1:11(10) ack 1
    `,
  },
  {
    title: "§3.5 an active opener exchanges data and closes first",
    script: `${CONNECTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < P. 1:51(50) ack 101 win 65535
      +0~0.05 > . 101:101(0) ack 51
      read 50
      close
      +0    > F. 101:101(0) ack 51
      +0.01 < F. 51:51(0) ack 102 win 65535
      +0    > . 102:102(0) ack 52
    `,
  },
  {
    title: "§3.8.1 what was acknowledged in part is retransmitted from there",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < . 1:1(0) ack 51 win 65535
      +0.15~0.4 > P. 51:101(50) ack 1
    `,
  },
  {
    title: "§3.9.1.2 MUST-60 the last segment of a write has PSH",
    script: `${ACCEPTED}
      write 3000
      +0    > . 1:1001(1000) ack 1
      +0    > . 1001:2001(1000) ack 1
      +0    > P. 2001:3001(1000) ack 1
    `,
  },
  {
    title: "§3.9.1.2 data without PSH are delivered",
    script: `${ACCEPTED}
      +0    < . 1:101(100) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 101
      read 100
    `,
  },
  {
    title: "§3.6 data that wait for a window are sent before FIN",
    script: `
      listen
      +0    < S 0:0(0) win 1000 <mss 1000>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 1000
      accept
      set nodelay 1
      write 500
      +0    > P. 1:501(500) ack 1
      write 500
      +0    > P. 501:1001(500) ack 1
      write 300
      close
      +0.05 > nothing
      +0    < . 1:1(0) ack 1001 win 1000
      +0    > FP. 1001:1301(300) ack 1
      +0.01 < . 1:1(0) ack 1302 win 1000
    `,
  },
];
