/** A TCP header around the input as its options; what was read is written and read again. */
import { Drop, tcp, tcpOptions } from "../../src/wire/index.js";
import { describeTcp } from "../describe-frame.js";
import { describeInPlaces, mustEqual, type Target } from "../target.js";

const first = new tcpOptions.TcpOptions();
const second = new tcpOptions.TcpOptions();

export const target: Target = {
  name: "tcp-options",
  summary: "TCP options, read, written and read again",
  maxBytes: tcpOptions.MAX_OPTION_BYTES,
  run(input) {
    const size = tcp.HEADER_BYTES + ((input.length + 3) & ~3);
    const b = new Uint8Array(size);
    tcp.writePorts(b, 0, 1, 2);
    tcp.writeControl(b, 0, size, tcp.ACK, 0);
    b.set(input, tcp.HEADER_BYTES);
    const shape = describeInPlaces(b, (bytes, at, end) => describeTcp(bytes, at, end, 0));
    if (tcpOptions.parse(b, 0, first) === Drop.NONE) writeAgain();
    return shape;
  },
};

/** The options of `first` that a data segment has, in the stack's own layout. */
function writeAgain(): void {
  const b = new Uint8Array(128).fill(0xa5);
  let at = tcp.OPTIONS_AT;
  if (first.hasTimestamps) at = tcpOptions.putTimestamps(b, at, first.tsVal, first.tsEcr);
  const blocks = Math.min(first.sackBlocks, 3);
  if (blocks > 0) at = tcpOptions.putSack(b, at, first.sack, blocks);
  tcp.writeControl(b, 0, at, tcp.ACK, 0);
  if (tcpOptions.parse(b, 0, second) !== Drop.NONE) throw new Error("own options are refused");
  mustEqual("options change when written and read", text(first, blocks), text(second, blocks));
}

const text = (o: tcpOptions.TcpOptions, blocks: number): string =>
  `${o.hasTimestamps} ${o.tsVal} ${o.tsEcr} ${o.sack.subarray(0, 2 * blocks)}`;
