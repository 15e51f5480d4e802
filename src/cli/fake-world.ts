/** A world for tests: outputs that remember, an input that is given, a stop that can be pressed. */
import type { World } from "./world.js";

export interface FakeWorld extends World {
  /** All that was written, as text. */
  readonly outText: () => string;
  readonly errText: () => string;
  readonly outBytes: () => Uint8Array;
  /** Ctrl-C. */
  readonly press: () => void;
}

export interface FakeOptions {
  readonly input?: Uint8Array[];
  /** The reader of the output goes away after so many writes. */
  readonly outWrites?: number;
  readonly env?: Record<string, string>;
  readonly isTerminal?: boolean;
}

export function fakeWorld(options: FakeOptions = {}): FakeWorld {
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  const stop = new AbortController();
  const output = (into: Uint8Array[], most: number): World["out"] => ({
    isTerminal: options.isTerminal ?? false,
    write: (data) => {
      if (into.length >= most) return Promise.resolve(false);
      into.push(typeof data === "string" ? Buffer.from(data) : data.slice());
      return Promise.resolve(true);
    },
  });
  return {
    out: output(out, options.outWrites ?? Number.POSITIVE_INFINITY),
    err: output(err, Number.POSITIVE_INFINITY),
    input: chunks(options.input ?? []),
    env: options.env ?? {},
    stop: stop.signal,
    outText: () => Buffer.concat(out).toString(),
    errText: () => Buffer.concat(err).toString(),
    outBytes: () => Buffer.concat(out),
    press: () => stop.abort(),
  };
}

async function* chunks(all: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* all;
}
