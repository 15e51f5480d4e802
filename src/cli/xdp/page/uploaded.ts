/** The body of a request, up to a limit. */
import type { IncomingMessage } from "node:http";
import { type ErrorSubject, PageError } from "./page-error.js";

const MIB = 1 << 20;

/** Rejects with `PageError` when it is longer; what is left is not read. */
export function readBody(
  request: IncomingMessage,
  about: ErrorSubject,
  limitBytes: number,
): Promise<Uint8Array> {
  const tooLong = (): PageError =>
    new PageError(
      about,
      `the file is larger than ${limitBytes / MIB} MiB`,
      about === "capture"
        ? "Cut it: tcpdump -r all.pcap -c 100000 -w some.pcap"
        : "Strip what is not needed: llvm-strip -g keeps the types.",
    );
  return new Promise((resolve, reject) => {
    if (Number(request.headers["content-length"] ?? 0) > limitBytes) {
      reject(tooLong());
      return;
    }
    const chunks: Uint8Array[] = [];
    let length = 0;
    request.on("data", (chunk: Uint8Array) => {
      length += chunk.length;
      if (length > limitBytes) {
        request.pause();
        reject(tooLong());
      } else {
        chunks.push(chunk);
      }
    });
    request.on("end", () => resolve(new Uint8Array(Buffer.concat(chunks))));
    request.on("error", reject);
    request.on("close", () => reject(new PageError(about, "the upload was broken off", "")));
  });
}
