/**
 * Where XDP_REDIRECT leads: devices by the index of their interface, all with frames in one pool. Frames
 * wait in a batch a device, so that one call sends what one turn redirects.
 */
import { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import type { Device } from "./device.js";

export class RedirectPort {
  readonly index: number;
  readonly device: Device;
  readonly waiting = new Batch();

  constructor(index: number, device: Device) {
    this.index = index;
    this.device = device;
  }
}

export class RedirectPorts {
  private readonly ports: RedirectPort[] = [];
  private readonly pool: Pool;

  private constructor(pool: Pool) {
    this.pool = pool;
  }

  /** Those of a pool: only its devices can pass frames to each other. */
  static of(pool: Pool): RedirectPorts {
    let ports = known.get(pool);
    if (ports === undefined) {
      ports = new RedirectPorts(pool);
      known.set(pool, ports);
    }
    return ports;
  }

  /** Makes a device reachable under an index, in the place of one that had it. */
  add(index: number, device: Device): void {
    this.remove(index);
    this.ports.push(new RedirectPort(index, device));
  }

  /** What waits for the device goes back to the pool. */
  remove(index: number): void {
    const at = this.ports.findIndex((port) => port.index === index);
    if (at < 0) return;
    const [{ waiting }] = this.ports.splice(at, 1) as [RedirectPort];
    for (let i = 0; i < waiting.n; i++) this.pool.give(waiting.slots[i]!);
    waiting.n = 0;
  }

  /** Hot path. There are few: a loop is quicker than a table. */
  find(index: number): RedirectPort | null {
    const { ports } = this;
    for (let i = 0; i < ports.length; i++) if (ports[i]!.index === index) return ports[i]!;
    return null;
  }

  /** Hot path. Hands devices what waits for them; frames that one does not take are lost: their number. */
  send(nowUs: number): number {
    let lost = 0;
    const { ports } = this;
    for (let i = 0; i < ports.length; i++) {
      const { waiting } = ports[i]!;
      if (waiting.n > 0) lost += this.sendOne(nowUs, ports[i]!);
    }
    return lost;
  }

  /** Hot path. */
  sendOne(nowUs: number, { device, waiting }: RedirectPort): number {
    waiting.drop(device.transmit(nowUs, waiting));
    const lost = waiting.n;
    for (let i = 0; i < lost; i++) this.pool.give(waiting.slots[i]!);
    waiting.n = 0;
    device.flush(nowUs);
    return lost;
  }
}

const known = new WeakMap<Pool, RedirectPorts>();
