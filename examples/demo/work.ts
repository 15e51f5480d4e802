/**
 * The demo's work, the same for every contestant: a UDP ping-pong, a TCP transfer and HTTP
 * requests between two ends of one process.
 *
 * Every kind of work is done for a while before it is measured: compiled code is what long-lived
 * programs run.
 */

/** One end that sends datagrams and hears the answers. */
export interface UdpEnd {
  send(data: Uint8Array): void;
  /** Calls back for every datagram. */
  onMessage(listener: (data: Uint8Array) => void): void;
  close(): void;
}

/** A client that polls: a call returns when the answer is there. */
export interface PolledUdpEnd {
  roundTrip(): void;
  close(): void;
}

export interface HttpClient {
  /** One request and its whole answer on a connection that is kept alive. */
  request(): Promise<void>;
  close(): void;
}

/** A pair of ends for each kind of work. */
export interface Contestant {
  readonly name: string;
  /** A client that is connected to a server which echoes, both with the interface most use. */
  udp(): Promise<UdpEnd>;
  /** The same with polled sockets, where there are any and both ends can have them. */
  polledUdp?(): PolledUdpEnd;
  /** Moves the bytes from one end to the other; resolves when the last one has been read. */
  transfer(bytes: number): Promise<void>;
  http(): Promise<HttpClient>;
  close(): Promise<void>;
}

/** Medians, except the transfers' rate. */
export interface Result {
  readonly name: string;
  readonly udpRoundTripUs: number;
  readonly polledUdpRoundTripUs: number | null;
  readonly tcpGbitPerS: number;
  readonly httpRequestUs: number;
}

export const DATAGRAM_BYTES = 64;

/** How much is done, and how much of it before anything is measured. */
export interface Amount {
  readonly roundTrips: number;
  readonly transferBytes: number;
  readonly transfers: number;
  readonly warmUpTransfers: number;
  readonly requests: number;
  readonly warmUpRequests: number;
}

export const FULL: Amount = {
  roundTrips: 10_000,
  transferBytes: 64 << 20,
  transfers: 4,
  warmUpTransfers: 5,
  requests: 800,
  warmUpRequests: 800,
};
/** For tests: rough figures in no time. */
export const QUICK: Amount = {
  roundTrips: 200,
  transferBytes: 8 << 20,
  transfers: 1,
  warmUpTransfers: 0,
  requests: 50,
  warmUpRequests: 0,
};

export async function measure(contestant: Contestant, amount: Amount): Promise<Result> {
  const udpRoundTripUs = await pingPong(await contestant.udp(), amount.roundTrips);
  const polled = contestant.polledUdp?.();
  const polledUdpRoundTripUs =
    polled === undefined ? null : polledPingPong(polled, amount.roundTrips);
  const { transferBytes } = amount;
  const transfer = () => contestant.transfer(transferBytes);
  const transferS = await medianTime(transfer, amount.transfers, amount.warmUpTransfers);
  const client = await contestant.http();
  const requestS = await medianTime(() => client.request(), amount.requests, amount.warmUpRequests);
  client.close();
  await contestant.close();
  return {
    name: contestant.name,
    udpRoundTripUs,
    polledUdpRoundTripUs,
    tcpGbitPerS: (transferBytes * 8) / transferS / 1e9,
    httpRequestUs: requestS * 1e6,
  };
}

/** Seconds that the work takes, the median of `times`, after having been done `before` times. */
async function medianTime(
  work: () => Promise<void>,
  times: number,
  before: number,
): Promise<number> {
  for (let i = 0; i < before; i++) await work();
  const seconds: number[] = [];
  for (let i = 0; i < times; i++) {
    const startMs = performance.now();
    await work();
    seconds.push((performance.now() - startMs) / 1_000);
  }
  return median(seconds);
}

async function pingPong(end: UdpEnd, roundTrips: number): Promise<number> {
  const data = new Uint8Array(DATAGRAM_BYTES);
  const times: number[] = [];
  let sentMs = 0;
  const send = (): void => {
    sentMs = performance.now();
    end.send(data);
  };
  await new Promise<void>((resolve) => {
    end.onMessage(() => {
      times.push(performance.now() - sentMs);
      if (times.length === roundTrips) resolve();
      else send();
    });
    send();
  });
  end.close();
  return median(times.slice(roundTrips / 2)) * 1_000;
}

function polledPingPong(end: PolledUdpEnd, roundTrips: number): number {
  const times: number[] = [];
  for (let i = 0; i < roundTrips; i++) {
    const sentMs = performance.now();
    end.roundTrip();
    times.push(performance.now() - sentMs);
  }
  end.close();
  return median(times.slice(roundTrips / 2)) * 1_000;
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1]!;
}
