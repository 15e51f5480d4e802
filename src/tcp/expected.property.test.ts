/** The expected segment is taken as the general path takes it: the same row, counters and answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { type ScriptOptions, TcpScript } from "../../test/support/tcp-script.js";
import { NO_SLOT } from "../ring/pool.js";
import type { TcpCore } from "./core.js";
import { State } from "./state.js";
import { ROW_INT32S } from "./tcb-row.js";
import { TcpOption } from "./tcp-option.js";

const PEER_ISS = 5000;

const segment = fc.record({
  flags: fc.constantFrom("A", "A", "A", "PA", "PA", "PAC", "AE", "PAU", "FA"),
  shift: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, -1, -300, 1, 300, 70_000),
  n: fc.constantFrom(0, 1, 7, 100, 999, 1000, 1000, 1000, 1400),
  acks: fc.constantFrom("una", "una", "una", "nxt", "old", "beyond"),
  win: fc.constantFrom(-1, -1, -1, -1, 0, 10, 3000, 65_535),
  ts: fc.constantFrom(0, 0, 0, 1, 5, -1, 40_000, -2_000_000_000),
  hasTs: fc.constantFrom(true, true, true, true, true, false),
  sack: fc.constantFrom("", "", "", "", "", " sack 1:50"),
  tos: fc.constantFrom(0, 0, 0, 1, 2, 3),
  batched: fc.boolean(),
});
/** What comes nearly always. */
const plain = fc.record({
  flags: fc.constantFrom("A", "PA"),
  shift: fc.constant(0),
  n: fc.constantFrom(1, 100, 1000, 1000, 1400),
  acks: fc.constant("una"),
  win: fc.constant(-1),
  ts: fc.constantFrom(0, 0, 1),
  hasTs: fc.constant(true),
  sack: fc.constant(""),
  tos: fc.constantFrom(0, 2),
  batched: fc.boolean(),
});
type Segment = typeof segment extends fc.Arbitrary<infer T> ? T : never;

const action = fc.constantFrom(
  "write",
  "read",
  "read",
  "readAll",
  "readAll",
  "readAll",
  "readAll",
  "slot",
  "tick",
  "tick",
  "pause",
  "wait",
  "oob",
  "shutRead",
  "press",
  "press",
  "relieve",
  "rcvbuf",
  "quickAck",
);
const steps = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: plain as fc.Arbitrary<Segment | string> },
    { weight: 2, arbitrary: segment },
    { weight: 4, arbitrary: action },
  ),
  { minLength: 1, maxLength: 60 },
);

/** One engine, with the fast path or without. */
class Side {
  readonly s: TcpScript;
  private readonly held: number[] = [];
  private readonly log: string[] = [];
  private tsVal = 100;

  constructor(o: ScriptOptions, isFast: boolean) {
    this.s = TcpScript.accepted(o);
    if (isFast) return;
    const { tcp } = this.s.world;
    const { t } = tcp as unknown as { t: TcpCore };
    tcp.expectedArrives = (row, _slot, _tos, nowUs) => {
      t.setTime(nowUs);
      t.c.select(row);
      return false;
    };
  }

  segment(g: Segment, usesTs: boolean): void {
    const { s } = this;
    const c = s.world.tcp.tcb.select(s.row);
    const seq = ((c.rcvNxt - PEER_ISS) | 0) + g.shift;
    const una = (c.sndUna - s.iss) | 0;
    const nxt = (c.sndNxt - s.iss) | 0;
    const ack = { una, nxt, old: una - 1, beyond: nxt + 1 }[g.acks]!;
    const win = g.win < 0 ? c.sndWnd >>> (c.scales & 0xff) : g.win;
    this.tsVal = (this.tsVal + Math.max(0, g.ts)) | 0;
    const tsVal = g.ts < 0 ? (this.tsVal + g.ts) | 0 : this.tsVal;
    const ts = usesTs && g.hasTs ? ` ts ${tsVal} ${(s.world.nowUs / 1000) | 0}` : "";
    const text = `${g.flags} ${seq}:${seq + g.n} ack ${ack} win ${win} urg 1${g.sack}${ts}`;
    s.send(text, { batched: g.batched, tos: g.tos });
  }

  act(what: string): void {
    const { s } = this;
    const { tcp, pool } = s.world;
    const now = s.world.nowUs;
    if (what === "write") this.log.push(`wrote ${s.app.write(1_700)}`);
    else if (what === "read") this.log.push(`read ${s.app.text(600)}`);
    else if (what === "readAll") this.log.push(`read ${s.app.text()}`);
    else if (what === "slot") {
      const slot = tcp.receiveSlot(s.row, now);
      if (slot < 0) return;
      this.log.push(`slot ${pool.bytes.subarray(pool.at[slot]!, pool.end[slot]!)}`);
      pool.give(slot);
    } else if (what === "tick") s.at(now / 1000 + 1);
    else if (what === "pause") s.at(now / 1000 + 45);
    else if (what === "wait") s.at(now / 1000 + 3000);
    else if (what === "oob") s.app.write(3, 1);
    else if (what === "shutRead") s.app.shutdown(0);
    else if (what === "rcvbuf") s.app.set(TcpOption.RCVBUF, 6_000);
    else if (what === "quickAck") s.app.set(TcpOption.QUICKACK, 1);
    else if (what === "press") this.press(Math.ceil(pool.freeSmall / 3));
    else this.relieve();
  }

  private press(n: number): void {
    const { pool } = this.s.world;
    for (let i = 0; i < n; i++) {
      const slot = pool.freeSmall > 40 ? pool.take() : NO_SLOT;
      if (slot === NO_SLOT) break;
      this.held.push(slot);
    }
    this.s.world.tcp.batchArrives();
  }

  private relieve(): void {
    for (const slot of this.held) this.s.world.pool.give(slot);
    this.held.length = 0;
  }

  /** All that can be told from outside, and the row itself. */
  get all(): unknown {
    const { world, row, sent } = this.s;
    const { tcp, pool } = world;
    return {
      row: [...tcp.tcb.i.subarray(row * ROW_INT32S, (row + 1) * ROW_INT32S)],
      sent,
      log: this.log,
      free: [pool.freeSmall, pool.freeBig],
      counters: tcp.counters.snapshot(),
      drops: tcp.drops.snapshot(),
      timers: [...world.timers],
      readiness: tcp.readiness(row),
    };
  }
}

for (const usesTs of [true, false]) {
  test(`with timestamps ${usesTs ? "on" : "off"}, nothing tells the two paths apart`, () => {
    const o: ScriptOptions = {
      peerSyn: `mss 1000 ws 3 sackOK${usesTs ? " ts 100 0" : ""}`,
      smallSlots: 200,
      bigSlots: 16,
      settings: { timestamps: usesTs, windowScaling: true, ecn: 1 },
    };
    let predicted = 0;
    fc.assert(
      fc.property(steps, (list) => {
        const fast = new Side(o, true);
        const slow = new Side(o, false);
        for (const step of list) {
          for (const side of [fast, slow]) {
            if (typeof step === "string") side.act(step);
            else side.segment(step, usesTs);
          }
          assert.deepEqual(fast.all, slow.all);
          if (fast.s.state === State.CLOSED || fast.s.state === State.FREE) break;
        }
        predicted += fast.s.world.tcp.counters.get("predictedData");
      }),
      { numRuns: 300 },
    );
    assert.ok(predicted > 300, `${predicted} segments were the expected ones`);
  });
}
