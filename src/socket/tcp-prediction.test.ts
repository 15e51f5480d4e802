/** The predicted path decides nothing differently: the same frames with and without it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ANY4, IpAddress } from "../base/ip-address.js";
import { NO_PREDICTION } from "../ip/frame-prediction.js";
import { Capability, type Device } from "../nic/device.js";
import { simLink } from "../nic/sim-link.js";
import { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import { createPool } from "./create-host.js";
import { Family } from "./linux-options.js";
import { Stack } from "./stack.js";
import type { TcpSocket } from "./tcp-socket.js";

const PORT = 7;
const MESSAGE = Uint8Array.from({ length: 64 }, (_, i) => i * 7);
const SERVER = IpAddress.parse("10.0.0.1");
const buffer = new Uint8Array(4_096);

/** A server behind one end of a link, whose other end is held by the test: its frames are bytes. */
class World {
  readonly pool: Pool = createPool({ smallSlots: 1_024, bigSlots: 64 });
  readonly server: Stack = new Stack({ pool: this.pool, seed: 1, nowUs: 1_000_000 });
  readonly client: Stack = new Stack({ pool: this.pool, seed: 2, nowUs: 1_000_000 });
  readonly toServer: Device;
  readonly toClient: Device;
  readonly accepted: TcpSocket;
  readonly connected: TcpSocket;
  nowUs = 1_000_000;

  constructor(capabilities: number) {
    const inner = simLink(this.pool, this.pool, { capabilities });
    const outer = simLink(this.pool, this.pool, { capabilities });
    const options = { linkLocal: false };
    this.server.ip.addInterface(inner.a, { ...options, addresses: ["10.0.0.1/24"] });
    this.client.ip.addInterface(outer.b, { ...options, addresses: ["10.0.0.2/24"] });
    this.toServer = inner.b;
    this.toClient = outer.a;
    const listener = this.server.tcpSocket(Family.INET)!;
    listener.bind(ANY4, PORT);
    listener.listen(1);
    this.connected = this.client.tcpSocket(Family.INET)!;
    this.connected.set("TCP_NODELAY", 1);
    this.connected.connect(SERVER, PORT);
    let socket: TcpSocket | null = null;
    for (let i = 0; i < 20 && socket === null; i++) {
      this.pass();
      socket = listener.accept();
    }
    this.accepted = socket!;
  }

  /** Moves what either side has sent on, and gives both a turn. */
  pass(): string[] {
    this.nowUs += 10;
    this.client.poll(this.nowUs);
    for (const frame of this.frames(this.toClient)) this.give(this.toServer, frame);
    this.server.poll(this.nowUs);
    const answers = this.frames(this.toServer);
    for (const frame of answers) this.give(this.toClient, frame);
    this.client.poll(this.nowUs);
    return answers.map((frame) => Buffer.from(frame).toString("hex"));
  }

  /** A message each way, one frame at a time, which the server acknowledges with its own. */
  exchange(): void {
    this.connected.send(MESSAGE);
    this.pass();
    assert.equal(this.accepted.receive(buffer), MESSAGE.length);
    this.accepted.send(MESSAGE);
    this.pass();
    assert.equal(this.connected.receive(buffer), MESSAGE.length);
  }

  /** What a device has to hand over, as bytes. */
  private frames(device: Device): Uint8Array[] {
    const batch = new Batch();
    device.receive(this.nowUs, batch);
    const { pool } = this;
    const frames: Uint8Array[] = [];
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      frames.push(pool.bytes.slice(pool.at[slot]!, pool.end[slot]!));
      pool.give(slot);
    }
    return frames;
  }

  give(device: Device, frame: Uint8Array): void {
    const { pool } = this;
    const slot = pool.take();
    pool.at[slot] = pool.base(slot);
    pool.end[slot] = pool.base(slot) + frame.length;
    pool.bytes.set(frame, pool.base(slot));
    pool.flags[slot] = 0;
    const batch = new Batch();
    batch.put(slot);
    device.transmit(this.nowUs, batch);
  }

  /** The frame of the client's next message, which is not delivered. */
  nextFrame(): Uint8Array {
    this.connected.send(MESSAGE);
    this.nowUs += 10;
    this.client.poll(this.nowUs);
    const frames = this.frames(this.toClient);
    assert.equal(frames.length, 1);
    return frames[0]!;
  }

  /** The server gets a frame: all that can be seen of what it did. */
  observe(frame: Uint8Array): unknown {
    this.nowUs += 10;
    this.give(this.toServer, frame);
    this.server.poll(this.nowUs);
    const sent = this.frames(this.toServer).map((f) => Buffer.from(f).toString("hex"));
    const n = this.accepted.receive(buffer);
    return {
      n,
      bytes: Buffer.from(buffer.subarray(0, Math.max(0, n))).toString("hex"),
      sent,
      drops: [...this.server.ip.drops.values],
      ip: [...this.server.ip.counters.values],
      tcp: [...this.server.tcp.counters.values],
      info: this.accepted.info(),
      free: this.pool.freeSmall,
    };
  }
}

/** The same world twice; the second does without. */
function pair(capabilities: number): { known: World; unknown: World; calls: () => number } {
  const known = new World(capabilities);
  const unknown = new World(capabilities);
  unknown.server.ip.frames.alone = NO_PREDICTION;
  const { alone } = known.server.ip.frames;
  let taken = 0;
  known.server.ip.frames.alone = {
    take: (iface, slot, at, nowUs) => {
      const isTaken = alone.take(iface, slot, at, nowUs);
      if (isTaken) taken++;
      return isTaken;
    },
    forget: () => alone.forget(),
  };
  return { known, unknown, calls: () => taken };
}

for (const capabilities of [0, Capability.RX_CHECKSUM]) {
  test(`a frame with any byte changed does what it does without prediction, device ${capabilities}`, () => {
    const { known, unknown, calls } = pair(capabilities);
    for (let i = 0; i < 4; i++) {
      known.exchange();
      unknown.exchange();
    }
    assert.ok(calls() > 0, "segments that come alone are predicted");
    const good = known.nextFrame();
    assert.deepEqual(unknown.nextFrame(), good);
    for (let i = 0; i < 80; i++) {
      for (const bit of [1, 2, 0x10, 0x80]) {
        const changed = good.slice();
        changed[i] = changed[i]! ^ bit;
        assert.deepEqual(known.observe(changed), unknown.observe(changed), `byte ${i}, bit ${bit}`);
      }
    }
    for (const n of [20, 40, 54, good.length - 1]) {
      const short = good.slice(0, n);
      assert.deepEqual(known.observe(short), unknown.observe(short), `${n} bytes`);
    }
    assert.deepEqual(known.observe(good), unknown.observe(good));
  });
}

test("nothing is predicted once the address has gone, or the connection", () => {
  const { known, calls } = pair(0);
  for (let i = 0; i < 4; i++) known.exchange();
  const frame = known.nextFrame();
  const before = calls();
  const iface = known.server.interfaceByIndex(2) ?? known.server.interfaceByIndex(1)!;
  known.server.ip.removeAddress(iface, SERVER);
  known.observe(frame);
  assert.equal(calls(), before, "the address is not ours");
  assert.equal(known.server.ip.drops.get("IP_NOT_FOR_US"), 1);
  known.server.ip.addAddress(iface, "10.0.0.1/24");
  known.accepted.abort();
  known.nowUs += 10;
  known.server.poll(known.nowUs);
  const resets = known.server.tcp.counters.get("outRsts");
  known.give(known.toServer, frame);
  known.server.poll(known.nowUs);
  assert.equal(calls(), before, "the connection has ended");
  assert.equal(known.server.tcp.counters.get("outRsts"), resets + 1, "the listener refuses it");
});
