/** RFC 9293 §3.8.6: the window that the host offers, closed and opened by its program. */
import type { ConformanceCase } from "../case.js";

/** A receive buffer of 4,096 bytes, of which the first segments fill all but `left`. */
const filled = (left: number): string => `
  set rcvbuf 4096
  listen
  +0    < S 0:0(0) win 65535 <mss 1000>
  +0    > S. 0:0(0) ack 1 win 4096 <...>
  +0.01 < . 1:1(0) ack 1 win 65535
  accept
  +0    < . 1:1001(1000) ack 1 win 65535
  +0    < . 1001:2001(1000) ack 1 win 65535
  +0    < . 2001:3001(1000) ack 1 win 65535
  ${left === 1096 ? "" : `+0.3  < P. 3001:${4097 - left}(${1096 - left}) ack 1 win 65535`}
  +0.3  > anything
`;

const OTHER_SIZES = "how much of a receive buffer is window is its own choice";

export const RFC9293_RECEIVER: readonly ConformanceCase[] = [
  {
    title: "§3.8.6.2.2 MUST-39 a closed window opens by a segment's size or not at all",
    script: `${filled(0)}
      read 100
      read 500
      +0.1  > nothing
      read 1000
      +0    > . 1:1(0) ack 4097 win 1600
    `,
    notOnLinux: OTHER_SIZES,
  },
  {
    title: "§3.10.7.4 a segment that reaches beyond the window is trimmed at its right edge",
    script: `${filled(96)}
      +0    < P. 4001:5001(1000) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 4097 win 0
      read 5000 = 4096
    `,
    notOnLinux: OTHER_SIZES,
  },
  {
    title: "§3.8.6.1 a probe of a closed window is answered and its byte not taken",
    script: `${filled(0)}
      +0    < . 4097:4098(1) ack 1 win 65535
      +0    > . 1:1(0) ack 4097 win 0
      +1    < . 4096:4096(0) ack 1 win 65535
      +0    > . 1:1(0) ack 4097 win 0
      unread = 4096
    `,
    notOnLinux: OTHER_SIZES,
  },
  {
    title: "§3.10.7.4 MUST-66 with a closed window ACK and RST still count",
    script: `${filled(0)}
      write 100
      +0    > P. 1:101(100) ack 4097
      +0.01 < . 4097:4097(0) ack 101 win 65535
      +0.5  > nothing
      +0    < R 4097:4097(0) win 0
      +0.01 error = ECONNRESET
    `,
    notOnLinux: OTHER_SIZES,
  },
  {
    title: "§3.8.6 a window that was closed and opened takes data again",
    script: `${filled(0)}
      read 4096
      +0    > . 1:1(0) ack 4097 win 4096
      +0    < P. 4097:5097(1000) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 5097 win 3096
      read 1000
    `,
    notOnLinux: OTHER_SIZES,
  },
  {
    title: "§3.8.6 FIN is taken when the data before it fill the window",
    script: `${filled(96)}
      +0    < FP. 4001:4097(96) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 4098
      read 5000 = 4096
      +0.1  > anything
      read 10 = 0
    `,
    notOnLinux: OTHER_SIZES,
  },
  {
    title: "§3.8.6 out-of-order data count against the window and are not lost",
    script: `${filled(1096)}
      +0    < P. 3501:4097(596) ack 1 win 65535
      +0    > . 1:1(0) ack 3001 win 1096
      +0    < P. 3001:3501(500) ack 1 win 65535
      +0~0.05 > . 1:1(0) ack 4097 win 0
      read 4096
    `,
    notOnLinux: OTHER_SIZES,
  },
];
