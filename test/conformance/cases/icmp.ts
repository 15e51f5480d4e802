/** ICMP errors at TCP: RFC 1122 §4.2.3.9, RFC 1191, RFC 5927, RFC 6633. */
import type { ConformanceCase } from "../case.js";
import { ACCEPTED } from "./handshakes.js";

const SYN_SENT = `
  connect
  +0    > S 0:0(0) <...>
`;

export const ICMP: readonly ConformanceCase[] = [
  {
    title: "RFC 6633 §4 source quench is ignored",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < icmp source-quench
      +0    < . 1:1(0) ack 101 win 65535
      write 2000
      +0    > . 101:1101(1000) ack 1
      +0    > P. 1101:2101(1000) ack 1
    `,
  },
  {
    title: "RFC 1122 §4.2.3.9 time exceeded and parameter problem do not end a connection",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < icmp time-exceeded
      +0    < icmp parameter-problem
      +0    < . 1:1(0) ack 101 win 65535
      write 100
      +0    > P. 101:201(100) ack 1
    `,
  },
  {
    title: "RFC 5927 §5.2 hard errors do not end a connection that is open",
    script: `${ACCEPTED}
      write 100
      +0    > P. 1:101(100) ack 1
      +0.01 < icmp port-unreachable
      +0    < icmp protocol-unreachable
      +0    < . 1:1(0) ack 101 win 65535
      write 100
      +0    > P. 101:201(100) ack 1
    `,
  },
  {
    title: "RFC 1122 §4.2.3.9 protocol unreachable ends a connection attempt",
    script: `${SYN_SENT}
      +0.01 < icmp protocol-unreachable
      +0.01 error = ENOPROTOOPT
    `,
  },
  {
    title: "RFC 1122 §4.2.3.9 host unreachable during an attempt is reported",
    script: `${SYN_SENT}
      +0.01 < icmp host-unreachable
      +0.01 error = EHOSTUNREACH
    `,
  },
  {
    title: "RFC 1122 §4.2.3.9 net unreachable during an attempt is reported",
    script: `${SYN_SENT}
      +0.01 < icmp net-unreachable
      +0.01 error = ENETUNREACH
    `,
  },
  {
    title: "RFC 5927 §4.1 an error that quotes a sequence number not in flight is ignored",
    script: `${SYN_SENT}
      +0.01 < icmp port-unreachable seq 5000
      +0.01 error = 0
      +0    < S. 0:0(0) ack 1 win 65535 <mss 1000>
      +0    > . 1:1(0) ack 1
    `,
  },
  {
    title: "RFC 5927 §7 frag-needed with a sequence number not in flight is ignored",
    script: `${ACCEPTED}
      write 1000
      +0    > P. 1:1001(1000) ack 1
      +0.01 < icmp frag-needed 600 seq 900000
      +0.05 > nothing
      +0    < . 1:1(0) ack 1001 win 65535
      write 1000
      +0    > P. 1001:2001(1000) ack 1
    `,
  },
  {
    title: "RFC 1191 §3 frag-needed with a size that is not smaller changes nothing",
    script: `${ACCEPTED}
      write 1000
      +0    > P. 1:1001(1000) ack 1
      +0.01 < icmp frag-needed 1400
      +0.05 > nothing
      +0    < . 1:1(0) ack 1001 win 65535
      write 1000
      +0    > P. 1001:2001(1000) ack 1
    `,
  },
  {
    title: "RFC 1191 §6.4 later segments keep to the path's MTU",
    script: `${ACCEPTED}
      write 1000
      +0    > P. 1:1001(1000) ack 1
      +0.01 < icmp frag-needed 700
      +0    > . 1:661(660) ack 1
      +0    > P. 661:1001(340) ack 1
      +0.01 < . 1:1(0) ack 1001 win 65535
      write 1000
      +0    > . 1001:1661(660) ack 1
      +0    > P. 1661:2001(340) ack 1
    `,
  },
];
