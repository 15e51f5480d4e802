/**
 * The demo's work, the same for every contestant: a UDP ping-pong, a TCP transfer and HTTP
 * requests between two ends of one process.
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

export interface Amount {
  readonly roundTrips: number;
  readonly transferBytes: number;
  readonly transfers: number;
  readonly requests: number;
}

export const FULL: Amount = {
  roundTrips: 5_000,
  transferBytes: 64 << 20,
  transfers: 3,
  requests: 1_000,
};
/** For tests: rough figures in no time. */
export const QUICK: Amount = {
  roundTrips: 200,
  transferBytes: 8 << 20,
  transfers: 1,
  requests: 50,
};

export async function measure(contestant: Contestant, amount: Amount): Promise<Result> {
  const udpRoundTripUs = await pingPong(await contestant.udp(), amount.roundTrips);
  const polled = contestant.polledUdp?.();
  const polledUdpRoundTripUs =
    polled === undefined ? null : polledPingPong(polled, amount.roundTrips);
  const rates: number[] = [];
  for (let i = 0; i < amount.transfers; i++) {
    const seconds = await time(() => contestant.transfer(amount.transferBytes));
    rates.push((amount.transferBytes * 8) / seconds / 1e9);
  }
  const client = await contestant.http();
  const requests: number[] = [];
  for (let i = 0; i < amount.requests; i++) requests.push(await time(() => client.request()));
  client.close();
  await contestant.close();
  return {
    name: contestant.name,
    udpRoundTripUs,
    polledUdpRoundTripUs,
    tcpGbitPerS: median(rates),
    httpRequestUs: median(requests) * 1e6,
  };
}

/** Seconds that something takes. */
async function time(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1_000;
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
  return median(times) * 1_000;
}

function polledPingPong(end: PolledUdpEnd, roundTrips: number): number {
  const times: number[] = [];
  for (let i = 0; i < roundTrips; i++) {
    const sentMs = performance.now();
    end.roundTrip();
    times.push(performance.now() - sentMs);
  }
  end.close();
  return median(times) * 1_000;
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1]!;
}
