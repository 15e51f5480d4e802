/** Test support: two stacks joined by a virtual link, turned in virtual time. */
import { IpAddress } from "../base/ip-address.js";
import { NEVER } from "../base/time.js";
import { type SimLinkOptions, simLink } from "../nic/sim-link.js";
import type { Pool } from "../ring/pool.js";
import { createPool } from "./create-host.js";
import { Stack, type StackOptions } from "./stack.js";

export const A4: IpAddress = IpAddress.parse("10.0.0.1");
export const B4: IpAddress = IpAddress.parse("10.0.0.2");
export const A6: IpAddress = IpAddress.parse("fd00::1");
export const B6: IpAddress = IpAddress.parse("fd00::2");

export class TwoStacks {
  readonly pool: Pool = createPool({ smallSlots: 8_192, bigSlots: 256 });
  readonly a: Stack;
  readonly b: Stack;
  nowUs = 1_000_000;
  private readonly freeAtStart: number;

  constructor(link: SimLinkOptions = {}, options: Partial<StackOptions> = {}) {
    const ends = simLink(this.pool, this.pool, link);
    this.freeAtStart = this.pool.freeSmall + this.pool.freeBig;
    const common = { pool: this.pool, nowUs: this.nowUs, ...options };
    this.a = new Stack({ ...common, seed: 1 });
    this.b = new Stack({ ...common, seed: 2 });
    this.a.ip.addInterface(ends.a, { name: "eth0", addresses: ["10.0.0.1/24", "fd00::1/64"] });
    this.b.ip.addInterface(ends.b, { name: "eth0", addresses: ["10.0.0.2/24", "fd00::2/64"] });
    this.settle();
  }

  /** Slots that somebody holds. */
  get heldSlots(): number {
    return this.freeAtStart - this.pool.freeSmall - this.pool.freeBig;
  }

  /** One turn of each; returns the earlier deadline. */
  turn(): number {
    const deadline = this.a.turn(this.nowUs);
    return Math.min(deadline, this.b.turn(this.nowUs));
  }

  /** Turns until neither stack has anything to do at this time. */
  settle(): number {
    let idleTurns = 0;
    for (let i = 0; i < 10_000; i++) {
      const deadline = this.turn();
      const isIdle = !this.a.isBusy && !this.b.isBusy && deadline > this.nowUs;
      idleTurns = isIdle ? idleTurns + 1 : 0;
      // The first stack's deadline does not know yet what the second has just sent.
      if (idleTurns === 2) return deadline;
    }
    throw new Error("two stacks: expected them to settle within 10,000 turns");
  }

  /** Lets time pass, deadline by deadline. */
  run(durationUs: number): void {
    const endUs = this.nowUs + durationUs;
    for (;;) {
      const deadline = this.settle();
      if (deadline >= endUs || deadline >= NEVER) break;
      this.nowUs = Math.max(deadline, this.nowUs + 1);
    }
    this.nowUs = endUs;
    this.settle();
  }
}
