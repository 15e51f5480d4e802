/** The one-line and the verbose printer, which decode whatever they are given. */
import { CapturedPacket } from "../../src/wire/capture-file.js";
import { PacketPrinter } from "../../src/wire/print.js";
import { describeInPlaces, type Target } from "../target.js";

const packet = new CapturedPacket();

function print(b: Uint8Array, at: number, end: number): string {
  packet.bytes = b;
  packet.at = at;
  packet.end = end;
  packet.lengthBytes = end - at;
  packet.linkType = 1;
  const brief = new PacketPrinter({ linkHeader: true }).line(packet);
  return `${brief}\n${new PacketPrinter({ verbose: true, absoluteSequence: true }).line(packet)}`;
}

export const target: Target = {
  name: "print",
  summary: "Ethernet frames as text, brief and verbose",
  corpus: "frame",
  maxBytes: 512,
  run: (input) => describeInPlaces(input, print),
};
