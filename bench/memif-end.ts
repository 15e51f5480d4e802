/**
 * One of two processes that are joined by memif: a polled stack that never sleeps, and its clock. The
 * `server` of a case is memif's server too, and listens for the `client`.
 */
import { IpAddress } from "../src/base/ip-address.js";
import type { Interface } from "../src/ip/interface.js";
import { monotonicUs } from "../src/nic/clock.js";
import { openMemif } from "../src/nic/memif.js";
import type { Pool } from "../src/ring/pool.js";
import { createPool } from "../src/socket/create-host.js";
import { Stack } from "../src/socket/stack.js";

export type Role = "server" | "client";

export const SERVER: IpAddress = IpAddress.parse("10.77.4.1");
export const CLIENT: IpAddress = IpAddress.parse("10.77.4.2");
export const PORT = 7;

/** Turns that share one reading of the clock, which costs as much as a turn with nothing to do. */
const TURNS_A_READING = 16;
/** Frames that may wait for a full ring before a sender holds back: UDP has no other limit. */
const MOST_WAITING = 64;
const PATIENCE_US = 20e6;

export class MemifEnd {
  readonly pool: Pool;
  readonly stack: Stack;
  readonly iface: Interface;
  nowUs: number = monotonicUs();
  private turns = 0;

  constructor(role: Role, path: string) {
    this.pool = createPool({ smallSlots: 16_384, bigSlots: 512 });
    this.stack = new Stack({ pool: this.pool, nowUs: this.nowUs });
    const device = openMemif(this.pool, { path, role });
    const address = role === "server" ? SERVER : CLIENT;
    const options = { addresses: [`${address}/24`], linkLocal: false };
    this.iface = this.stack.ip.addInterface(device, options);
  }

  /** Hot path. One turn. */
  turn(): void {
    if ((this.turns++ & (TURNS_A_READING - 1)) === 0) this.nowUs = monotonicUs();
    this.stack.poll(this.nowUs);
  }

  /** Hot path. Whether the peer has fallen behind: what is sent now would wait, and at last be lost. */
  get mustWait(): boolean {
    return this.iface.backlogFrames >= MOST_WAITING;
  }

  /** Turns until it is so. */
  until(isDone: () => boolean, what: string): void {
    const endUs = monotonicUs() + PATIENCE_US;
    while (!isDone()) {
      this.turn();
      if (this.nowUs > endUs) throw new Error(`waited for ${what} in vain`);
    }
  }

  untilUp(): void {
    this.until(() => this.iface.device.isUp, "the link");
  }

  /** Says that the other end may start. */
  ready(): void {
    process.stdout.write("ready\n");
  }

  /** Goes on for a while, so that what was sent last is delivered. */
  linger(us: number): void {
    for (const endUs = monotonicUs() + us; this.nowUs < endUs; ) this.turn();
  }
}

/** Hands over to work that never returns to the event loop, once what was printed is on its way. */
export function afterOutput(work: () => void): void {
  setTimeout(work, 50);
}
