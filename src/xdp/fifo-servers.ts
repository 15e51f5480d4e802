/**
 * Some equal servers behind one queue, first come, first served, as arithmetic: each arrival is told at once
 * when its turn comes. Arrivals must come in the order of their times.
 */
export interface FifoServers {
  /** Arrivals that found the queue full. */
  readonly lost: number;
  /** Time that servers were busy, all together. */
  readonly busyNs: number;
  /** When the service begins; -1: the queue is full, and the arrival is lost. */
  take(atNs: number, serviceNs: number): number;
}

export function makeServers(servers: number, queue: number): FifoServers {
  return new Servers(servers, queue);
}

class Servers implements FifoServers {
  lost = 0;
  busyNs = 0;
  private readonly freeAt: Float64Array;
  /** When the last arrivals began, a ring: those that begin later than now are waiting. */
  private readonly begins: Float64Array;
  private next = 0;

  constructor(servers: number, queue: number) {
    if (servers < 1 || queue < 1) {
      throw new RangeError(`expected servers and places to wait, got ${servers} and ${queue}`);
    }
    this.freeAt = new Float64Array(servers);
    this.begins = new Float64Array(queue).fill(Number.NEGATIVE_INFINITY);
  }

  take(atNs: number, serviceNs: number): number {
    // Begins are in order: when the one `queue` arrivals ago still waits, so do all since.
    if (this.begins[this.next]! > atNs) {
      this.lost++;
      return -1;
    }
    let server = 0;
    for (let n = 1; n < this.freeAt.length; n++) {
      if (this.freeAt[n]! < this.freeAt[server]!) server = n;
    }
    const begin = Math.max(atNs, this.freeAt[server]!);
    this.freeAt[server] = begin + serviceNs;
    this.begins[this.next] = begin;
    this.next = (this.next + 1) % this.begins.length;
    this.busyNs += serviceNs;
    return begin;
  }
}
