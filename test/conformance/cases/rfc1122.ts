/** RFC 1122 §4.2, requirements for hosts on TCP: delayed ACKs, keep-alives, silly windows. */
import type { ConformanceCase } from "../case.js";

const ACCEPTED = `
  listen
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 <...>
  +0.01 < . 1:1(0) ack 1 win 65535
  accept
`;

export const RFC1122: readonly ConformanceCase[] = [
  {
    title: "§4.2.3.2 every second full segment is acknowledged at once",
    script: `${ACCEPTED}
      +0    < . 1:1001(1000) ack 1 win 65535
      +0    < P. 1001:2001(1000) ack 1 win 65535
      +*    > . 1:1(0) ack 1001
      +0    > . 1:1(0) ack 2001
      read 2000
    `,
    notOnLinux: "whether the first ACK is quick or delayed depends on its quick-ACK count",
  },
  {
    title: "§4.2.3.6 keep-alives probe an idle connection, and give up when unanswered",
    script: `${ACCEPTED}
      set keepidle 1
      set keepintvl 1
      set keepcnt 2
      set keepalive 1
      +1    > . 0:0(0) ack 1
      +0.01 < . 1:1(0) ack 1 win 65535
      +1    > . 0:0(0) ack 1
      +1    > . 0:0(0) ack 1
      +1    > R. 1:1(0) ack 1
      read 10 = ETIMEDOUT
    `,
  },
  {
    title: "§4.2.3.4 a full-sized segment is sent at once, the rest waits under Nagle",
    script: `${ACCEPTED}
      write 1500
      +0    > . 1:1001(1000) ack 1
      +0    > P. 1001:1501(500) ack 1
      +0.01 < . 1:1(0) ack 1501 win 65535
    `,
  },
  {
    title: "§4.2.3.9 a soft ICMP error does not end an established connection",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < icmp host-unreachable
      +0    < . 1:1(0) ack 101 win 65535
      write 100
      +0    > P. 101:201(100) ack 1
    `,
  },
  {
    title: "§4.2.3.9 a hard ICMP error ends a connection attempt",
    script: `
      connect
      +0    > S 0:0(0) <...>
      +0.01 < icmp port-unreachable
      +0.01 error = ECONNREFUSED
    `,
  },
  {
    title: "RFC 1191 §3 a fragmentation-needed error makes segments smaller",
    script: `
      listen
      +0    < S 0:0(0) win 65535 <mss 1460>
      +0    > S. 0:0(0) ack 1 <...>
      +0.01 < . 1:1(0) ack 1 win 65535
      accept
      write 1460
      +0    > P. 1:1461(1460) ack 1
      +0.01 < icmp frag-needed 1000
      +0    > . 1:961(960) ack 1
      +0    > P. 961:1461(500) ack 1
      +0.01 < . 1:1(0) ack 1461 win 65535
    `,
  },
];
