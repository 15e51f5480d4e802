/**
 * The demo's work, the same for every contestant: a UDP ping-pong, a TCP transfer and HTTP
 * requests between two ends.
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
  polledUdp?(): Promise<PolledUdpEnd>;
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

/** How long something is done: first unmeasured, then measured. */
interface Budget {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Times instead of amounts: the demo takes as long on a busy machine. */
export interface Plan {
  readonly udp: Budget;
  readonly tcp: Budget;
  readonly http: Budget;
}

/** TCP is the most code, and takes longest to be compiled. */
export const FULL: Plan = {
  udp: { warmUpMs: 300, measureMs: 300 },
  tcp: { warmUpMs: 1_500, measureMs: 600 },
  http: { warmUpMs: 500, measureMs: 400 },
};
/** For tests: rough figures in no time. */
export const QUICK: Plan = {
  udp: { warmUpMs: 10, measureMs: 20 },
  tcp: { warmUpMs: 0, measureMs: 20 },
  http: { warmUpMs: 10, measureMs: 50 },
};

const TRANSFER_BYTES = 32 << 20;

export async function measure(contestant: Contestant, plan: Plan): Promise<Result> {
  const udpMs = await pingPong(await contestant.udp(), plan.udp);
  const polled = await contestant.polledUdp?.();
  const polledMs = polled === undefined ? null : polledPingPong(polled, plan.udp);
  const transferMs = await medianMs(() => contestant.transfer(TRANSFER_BYTES), plan.tcp);
  const client = await contestant.http();
  const requestMs = await medianMs(() => client.request(), plan.http);
  client.close();
  await contestant.close();
  return {
    name: contestant.name,
    udpRoundTripUs: udpMs * 1_000,
    polledUdpRoundTripUs: polledMs === null ? null : polledMs * 1_000,
    tcpGbitPerS: (TRANSFER_BYTES * 8) / transferMs / 1e6,
    httpRequestUs: requestMs * 1_000,
  };
}

/** Times of what was done while the budget lasts, those of the warm-up left out. */
class Times {
  isOver = false;
  private readonly warmUntilMs: number;
  private readonly endMs: number;
  private readonly values: number[] = [];

  constructor(budget: Budget) {
    this.warmUntilMs = performance.now() + budget.warmUpMs;
    this.endMs = this.warmUntilMs + budget.measureMs;
  }

  /** Something that began then is done now. */
  add(startMs: number): void {
    const nowMs = performance.now();
    if (startMs >= this.warmUntilMs) this.values.push(nowMs - startMs);
    this.isOver = nowMs >= this.endMs && this.values.length > 0;
  }

  median(): number {
    this.values.sort((a, b) => a - b);
    return this.values[this.values.length >> 1]!;
  }
}

async function medianMs(work: () => Promise<void>, budget: Budget): Promise<number> {
  const times = new Times(budget);
  while (!times.isOver) {
    const startMs = performance.now();
    await work();
    times.add(startMs);
  }
  return times.median();
}

async function pingPong(end: UdpEnd, budget: Budget): Promise<number> {
  const data = new Uint8Array(DATAGRAM_BYTES);
  const times = new Times(budget);
  let sentMs = 0;
  const send = (): void => {
    sentMs = performance.now();
    end.send(data);
  };
  await new Promise<void>((resolve) => {
    end.onMessage(() => {
      times.add(sentMs);
      if (times.isOver) resolve();
      else send();
    });
    send();
  });
  end.close();
  return times.median();
}

function polledPingPong(end: PolledUdpEnd, budget: Budget): number {
  const times = new Times(budget);
  while (!times.isOver) {
    const sentMs = performance.now();
    end.roundTrip();
    times.add(sentMs);
  }
  end.close();
  return times.median();
}
