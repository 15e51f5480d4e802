/** pcap and pcapng files: read at once and byte by byte, the packets and the error are the same. */
import { CaptureReader } from "../../src/wire/capture-reader.js";
import { mustEqual, type Target } from "../target.js";

function describe(input: Uint8Array, chunkBytes: number): string {
  const reader = new CaptureReader();
  const parts: string[] = [];
  const drain = (): void => {
    while (reader.next()) {
      const { bytes, at, end, ...fields } = reader.packet;
      if (at < 0 || end < at || end > bytes.length) throw new Error(`packet at ${at} to ${end}`);
      parts.push(
        `${JSON.stringify(fields)} ${Buffer.from(bytes.subarray(at, end)).toString("hex")}`,
      );
    }
  };
  for (let at = 0; at < input.length; at += chunkBytes) {
    reader.push(input.subarray(at, at + chunkBytes));
    drain();
  }
  reader.end();
  drain();
  parts.push(JSON.stringify(reader.interfaces), JSON.stringify(reader.error));
  return parts.join("\n");
}

export const target: Target = {
  name: "capture",
  summary: "pcap and pcapng files through the reader",
  maxBytes: 600,
  run(input) {
    const whole = describe(input, 4096);
    mustEqual("chunks matter", whole, describe(input, 7));
    return whole.replaceAll(/\d+|"[^"]*"|[0-9a-f]{4,}/g, "").slice(0, 200);
  },
};
