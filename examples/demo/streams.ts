/** What the contestants' streams have in common. */
import { once } from "node:events";
import { get, type RequestOptions } from "node:http";
import type { Duplex } from "node:stream";

const CHUNK = new Uint8Array(65_536);

/** Writes with backpressure, then ends the stream. */
export async function writeAll(stream: NodeJS.WritableStream, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    if (!stream.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK)) {
      await once(stream, "drain");
    }
  }
  stream.end();
}

/** Reads to the end; throws unless there were so many bytes. */
export async function readAll(stream: AsyncIterable<Uint8Array>, bytes: number): Promise<void> {
  let got = 0;
  for await (const chunk of stream) got += chunk.length;
  if (got !== bytes) throw new Error(`expected ${bytes} bytes, got ${got}`);
}

/** Sends so many bytes to a server that answers how many came; throws unless they are as many. */
export async function sendAll(stream: Duplex, bytes: number): Promise<void> {
  let answer = "";
  stream.on("data", (data) => {
    answer += data.toString();
  });
  const ended = once(stream, "end");
  await writeAll(stream, bytes);
  await ended;
  stream.destroy();
  if (answer !== `${bytes}`) throw new Error(`of ${bytes} bytes ${answer} came`);
}

/** One GET, its answer read to the end. */
export function httpGet(options: RequestOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    get(options, (response) => {
      response.resume();
      response.on("end", resolve);
      response.on("error", reject);
    }).on("error", reject);
  });
}

/** What every server of the demo answers. */
export const ANSWER = "hello\n";
