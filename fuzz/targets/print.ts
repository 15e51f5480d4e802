/** Packets as text, for every decoded link type and with all details: bytes outside do not matter. */
import { CapturedPacket } from "../../src/wire/capture-file.js";
import * as linkType from "../../src/wire/link-type.js";
import { PacketPrinter } from "../../src/wire/print.js";
import { describeInPlaces, type Target } from "../target.js";

const TYPES = [
  linkType.EN10MB,
  linkType.RAW,
  linkType.NULL,
  linkType.LINUX_SLL,
  linkType.LINUX_SLL2,
];

/** The first byte chooses the link type and whether the capture cut the packet. */
function describe(b: Uint8Array, at: number, end: number): string {
  if (end === at) return "";
  const packet = new CapturedPacket();
  packet.bytes = b;
  packet.at = at + 1;
  packet.end = end;
  packet.linkType = TYPES[b[at]! % TYPES.length]!;
  packet.lengthBytes = end - at - 1 + (b[at]! >= 128 ? 100 : 0);
  return [{}, { verbose: true, linkHeader: true }, { quiet: true }]
    .map((options) => new PacketPrinter(options).line(packet))
    .join("\n");
}

export const target: Target = {
  name: "print",
  summary: "packets through the tcpdump-like printer",
  maxBytes: 400,
  run: (input) => describeInPlaces(input, describe),
};
