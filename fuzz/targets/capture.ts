/** Capture files of both formats: how the file is cut into chunks may not matter. */
import { CaptureReader } from "../../src/wire/capture-reader.js";
import { mustEqual, type Target } from "../target.js";

/** All that a reader says of a file that comes in chunks of `chunkBytes`. */
function read(file: Uint8Array, chunkBytes: number): string {
  const reader = new CaptureReader();
  const seen: string[] = [];
  const drain = (): void => {
    while (reader.next()) {
      const { bytes, at, end, ...fields } = reader.packet;
      seen.push(`${Object.values(fields).join(" ")} ${bytes.subarray(at, end)}`);
    }
  };
  for (let at = 0; at < file.length; at += chunkBytes) {
    reader.push(file.subarray(at, at + chunkBytes));
    drain();
  }
  reader.end();
  drain();
  const interfaces = reader.interfaces.map((i) => Object.values(i).join(" ")).join(", ");
  return `${seen.join("\n")} ${interfaces} ${reader.error?.atByte} ${reader.error?.message}`;
}

export const target: Target = {
  name: "capture",
  summary: "pcap and pcapng files, whole and in chunks",
  maxBytes: 2_048,
  run(input) {
    const whole = read(input, Math.max(1, input.length));
    mustEqual("chunks of 7 bytes matter", whole, read(input, 7));
    return whole.replaceAll(/[\d,-]+/g, "").slice(0, 300);
  },
};
