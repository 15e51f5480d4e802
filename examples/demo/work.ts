/**
 * The demo's work, the same for every contestant: a UDP ping-pong, a TCP transfer and HTTP
 * requests between two ends of one process.
 */
import { monotonicUs } from "../../src/base/time.js";

/** One end that sends datagrams and hears the answers. */
export interface UdpEnd {
  send(data: Uint8Array): void;
  /** Calls back for every datagram. */
  onMessage(listener: (data: Uint8Array) => void): void;
  close(): void;
}

/** A pair of ends for each kind of work. */
export interface Contestant {
  readonly name: string;
  /** A client that is connected to a server which echoes. */
  udp(): Promise<UdpEnd>;
  /** Moves the bytes from one end to the other; resolves when the last one has been read. */
  transfer(bytes: number): Promise<void>;
  /** One request and its whole answer on a connection that is kept alive. */
  http(): Promise<{ request(): Promise<void>; close(): void }>;
  close(): Promise<void>;
}

export interface Result {
  readonly name: string;
  readonly udpHalfRoundTripUs: number;
  readonly tcpGbitPerS: number;
  readonly httpUs: number;
}

const PING_BYTES = 64;
const PINGS = 3_000;
const TRANSFER_BYTES = 128 << 20;
const REQUESTS = 500;

export async function measure(contestant: Contestant): Promise<Result> {
  const udpHalfRoundTripUs = await pingPong(await contestant.udp());
  const startUs = monotonicUs();
  await contestant.transfer(TRANSFER_BYTES);
  const tcpGbitPerS = (TRANSFER_BYTES * 8) / (monotonicUs() - startUs) / 1000;
  const client = await contestant.http();
  const times: number[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const requestUs = monotonicUs();
    await client.request();
    times.push(monotonicUs() - requestUs);
  }
  client.close();
  await contestant.close();
  return { name: contestant.name, udpHalfRoundTripUs, tcpGbitPerS, httpUs: median(times) };
}

async function pingPong(end: UdpEnd): Promise<number> {
  const data = new Uint8Array(PING_BYTES);
  const times: number[] = [];
  let sentUs = 0;
  await new Promise<void>((resolve) => {
    end.onMessage(() => {
      times.push((monotonicUs() - sentUs) / 2);
      if (times.length === PINGS) resolve();
      else {
        sentUs = monotonicUs();
        end.send(data);
      }
    });
    sentUs = monotonicUs();
    end.send(data);
  });
  end.close();
  return median(times.slice(PINGS / 10));
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1]!;
}
