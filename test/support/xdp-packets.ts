/** Packets to run XDP programs on: every Ethernet frame of the committed captures, and damaged ones. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Random } from "../../src/base/random.js";
import { CaptureReader } from "../../src/wire/capture-reader.js";
import * as linkType from "../../src/wire/link-type.js";

const CAPTURES = fileURLToPath(new URL("../../../test/vectors/captures/", import.meta.url));
/** The kernel's test run takes no shorter and no longer ones in one buffer. */
const SHORTEST_BYTES = 14;
const LONGEST_BYTES = 3_500;

export function capturedPackets(): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const entry of readdirSync(CAPTURES, { recursive: true }).map(String).sort()) {
    const file = `${CAPTURES}${entry}`;
    if (!/\.(pcap|pcapng|cap|trace)$/.test(file) || !statSync(file).isFile()) continue;
    const reader = new CaptureReader();
    reader.push(readFileSync(file));
    reader.end();
    while (reader.next()) {
      const { bytes, at, end } = reader.packet;
      const fits = end - at >= SHORTEST_BYTES && end - at <= LONGEST_BYTES;
      if (fits && reader.packet.linkType === linkType.EN10MB) found.push(bytes.slice(at, end));
    }
  }
  return found;
}

/** Where headers are. */
const HEADER_BYTES = 60;
const VALUES = [0x00, 0x01, 0x06, 0x08, 0x11, 0x45, 0x46, 0x7f, 0x80, 0x81, 0x86, 0xdd, 0xfe, 0xff];

/** `count` packets with up to three changes each, some cut short, some made longer. */
export function damagedPackets(
  packets: readonly Uint8Array[],
  count: number,
  seed: number,
): Uint8Array[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    let packet = packets[random.below(packets.length)]!.slice();
    for (let n = random.below(4); n > 0; n--) {
      const at = random.below(Math.min(HEADER_BYTES, packet.length));
      packet[at] = random.chance(0.5) ? VALUES[random.below(VALUES.length)]! : random.below(256);
    }
    if (random.chance(0.15)) {
      packet = packet.slice(0, SHORTEST_BYTES + random.below(packet.length - SHORTEST_BYTES + 1));
    } else if (random.chance(0.05)) {
      const longer = new Uint8Array(Math.min(LONGEST_BYTES, packet.length + random.below(700)));
      longer.set(packet.subarray(0, longer.length));
      packet = longer;
    }
    return packet;
  });
}
