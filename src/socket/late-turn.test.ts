import assert from "node:assert/strict";
import { test } from "node:test";
import { Middleware } from "../nic/middleware.js";
import { simLink } from "../nic/sim-link.js";
import { Batch } from "../ring/batch.js";
import { createPool } from "./create-host.js";
import { Family } from "./linux-options.js";
import { Stack } from "./stack.js";
import { A4, B4 } from "./two-stacks.js";

/** Hands out one frame at a time. */
class Trickle extends Middleware {
  readonly kind = "trickle";
  private readonly waiting: number[] = [];
  private readonly arrived = new Batch();

  override receive(nowUs: number, batch: Batch): void {
    this.inner.receive(nowUs, this.arrived);
    for (let i = 0; i < this.arrived.n; i++) this.waiting.push(this.arrived.slots[i]!);
    this.arrived.n = 0;
    const slot = this.waiting.shift();
    if (slot !== undefined) batch.put(slot);
  }
}

test("after a pause, ACKs that wait in the device are taken before timers fire", () => {
  const pool = createPool({ smallSlots: 1_024, bigSlots: 64 });
  const link = simLink(pool, pool);
  const far = new Stack({ pool, nowUs: 1_000_000, seed: 1 });
  const late = new Stack({ pool, nowUs: 1_000_000, seed: 2 });
  far.ip.addInterface(link.a, { addresses: ["10.0.0.1/24"], linkLocal: false });
  late.ip.addInterface(new Trickle(link.b), { addresses: ["10.0.0.2/24"], linkLocal: false });
  let nowUs = 1_000_000;
  const turns = (n: number): void => {
    for (let i = 0; i < n; i++) {
      late.turn(nowUs);
      far.turn(nowUs);
      nowUs += 10;
    }
  };
  const listener = far.tcpSocket(Family.INET)!;
  listener.bind(A4, 7);
  listener.listen(1);
  const socket = late.tcpSocket(Family.INET)!;
  socket.bind(B4, 0);
  socket.connect(A4, 7);
  turns(20);
  const peer = listener.accept()!;

  // Frames that say nothing new wait before the ACK of what is sent.
  peer.set("TCP_NODELAY", 1);
  for (let i = 0; i < 5; i++) {
    peer.send(new Uint8Array(100), 0, 100, 0);
    far.turn(nowUs);
  }
  socket.send(new Uint8Array(10_000), 0, 10_000);
  late.turn(nowUs);
  far.turn(nowUs);
  nowUs += 2_000_000;
  late.turn(nowUs);
  const { counters } = late.tcp;
  assert.equal(counters.get("timeouts") + counters.get("tailLossProbes"), 0);
  assert.equal(counters.get("retransSegs"), 0);
  far.close();
  late.close();
});
