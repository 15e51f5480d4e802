/** Who asks and answers goes the quick ways of both directions as it would go the general one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { type ScriptOptions, TcpScript } from "../../test/support/tcp-script.js";
import { NO_SLOT } from "../ring/pool.js";
import type { TcpCore } from "./core.js";
import type { Seq } from "./seq.js";
import { State } from "./state.js";
import { Pending } from "./tcb.js";
import { ROW_INT32S } from "./tcb-row.js";
import { TcpOption } from "./tcp-option.js";

const PEER_ISS = 5000;

/** A request of the peer's that acknowledges everything, and our answer. */
const exchange = fc.record({
  n: fc.constantFrom(1, 64, 64, 64, 300, 1000, 1100),
  answer: fc.constantFrom(1, 64, 64, 64, 64, 300, 1000, 1100, 5000, 0),
  passUs: fc.constantFrom(0, 1, 3, 3, 3, 40, 1_500),
});
/** The same, with something about it. */
const oddity = fc.record({
  flags: fc.constantFrom("A", "PA", "PA", "PA", "PAC", "PAE", "PAU", "FPA"),
  shift: fc.constantFrom(0, 0, 0, 0, -1, 1, 300, 70_000),
  n: fc.constantFrom(0, 1, 64, 1000, 1400),
  acks: fc.constantFrom("nxt", "nxt", "nxt", "una", "old", "beyond", "half"),
  win: fc.constantFrom(-1, -1, -1, 0, 7, 3000, 65_535),
  ts: fc.constantFrom(0, 0, 1, -1, 40_000, -2_000_000_000),
  echo: fc.constantFrom(0, 0, -1, 7, 1_000_000),
  hasTs: fc.constantFrom(true, true, true, true, false),
  tos: fc.constantFrom(0, 0, 0, 2, 3),
});
const action = fc.constantFrom(
  ..."write writeMore tick pause wait oob readOne press relieve rcvbuf".split(" "),
  ..."icmp sndbuf quickAck cork uncork clamp userTimeout turn".split(" "),
);
type Exchange = typeof exchange extends fc.Arbitrary<infer T> ? T : never;
interface Oddity {
  readonly flags: string;
  readonly shift: number;
  readonly n: number;
  readonly acks: "nxt" | "una" | "old" | "beyond" | "half";
  readonly win: number;
  readonly ts: number;
  readonly echo: number;
  readonly hasTs: boolean;
  readonly tos: number;
}
const steps = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: exchange as fc.Arbitrary<Exchange | Oddity | string> },
    { weight: 1, arbitrary: oddity },
    { weight: 1, arbitrary: action },
  ),
  { minLength: 20, maxLength: 80 },
);

const PLAIN: Oddity = {
  ...{ flags: "PA", shift: 0, n: 0, acks: "nxt", win: -1, ts: 0, echo: 0, hasTs: true, tos: 0 },
};

/** One engine, by the quick ways or by the general one. */
class Side {
  readonly s: TcpScript;
  readonly t: TcpCore;
  private readonly isQuick: boolean;
  private readonly held: number[] = [];
  private readonly log: string[] = [];
  private tsVal = 100;

  constructor(o: ScriptOptions, isQuick: boolean) {
    this.s = TcpScript.accepted({ ...o, places: isQuick });
    const { tcp } = this.s.world;
    const { t } = tcp as unknown as { t: TcpCore };
    this.t = t;
    this.isQuick = isQuick;
    this.s.app.set(TcpOption.NODELAY, 1);
    if (isQuick) return;
    t.lockstep.note = () => {};
    tcp.expectedArrives = (row, _slot, _tos, nowUs) => {
      t.setTime(nowUs);
      t.c.select(row);
      return false;
    };
  }

  /** Whether the row's views are in use. */
  get isWatched(): boolean {
    return this.t.lockstep.row === this.s.row;
  }

  exchange(e: Exchange): void {
    this.segment({ ...PLAIN, n: e.n });
    this.log.push(`read ${this.s.app.text()}`);
    if (e.answer > 0) this.log.push(`wrote ${this.s.app.write(e.answer)}`);
    this.pass(0); // the quick way has sent the answer already
    this.pass(e.passUs);
  }

  segment(g: Oddity): void {
    const { s } = this;
    const c = s.world.tcp.tcb.select(s.row);
    const seq = ((c.rcvNxt - PEER_ISS) | 0) + g.shift;
    const una = (c.sndUna - s.iss) | 0;
    const nxt = (c.sndNxt - s.iss) | 0;
    const ack = { una, nxt, old: una - 1, beyond: nxt + 1, half: (una + nxt) >> 1 }[g.acks]!;
    const win = g.win < 0 ? 60_000 : g.win;
    this.tsVal = (this.tsVal + Math.max(0, g.ts)) | 0;
    const tsVal = g.ts < 0 ? (this.tsVal + g.ts) | 0 : this.tsVal;
    const echo = (Math.floor(s.world.nowUs / 1000) + this.t.c.tsOffset + g.echo) | 0;
    const ts = g.hasTs ? ` ts ${tsVal} ${echo}` : "";
    const text = `${g.flags} ${seq}:${seq + g.n} ack ${ack} win ${win} urg 1${ts}`;
    s.send(text, { batched: true, tos: g.tos });
  }

  /** Some time passes, and a turn. The general way is taken by who may have something to send again. */
  private pass(us: number): void {
    const { world, row } = this.s;
    const c = world.tcp.tcb.select(row);
    if (!this.isQuick && (c.pending & Pending.OUTPUT) !== 0) c.pending |= Pending.RETRANSMIT;
    this.s.at((world.nowUs + us) / 1000);
  }

  act(what: string): void {
    const { s } = this;
    const { world } = s;
    const { pool } = world;
    if (what === "write") this.log.push(`wrote ${s.app.write(900)}`);
    else if (what === "writeMore") this.log.push(`wrote ${s.app.write(40, 0x8000)}`);
    else if (what === "readOne") this.log.push(`read ${s.app.text(1)}`);
    else if (what === "oob") s.app.write(3, 1);
    else if (what === "rcvbuf") s.app.set(TcpOption.RCVBUF, 6_000);
    else if (what === "sndbuf") s.app.set(TcpOption.SNDBUF, 6_000);
    else if (what === "quickAck") s.app.set(TcpOption.QUICKACK, 1);
    else if (what === "cork") s.app.set(TcpOption.CORK, 1);
    else if (what === "uncork") s.app.set(TcpOption.CORK, 0);
    else if (what === "icmp") world.tcp.icmpError(s.row, 113, false, this.unacked, world.nowUs);
    else if (what === "clamp") s.app.set(TcpOption.WINDOW_CLAMP, 3_000);
    else if (what === "userTimeout") s.app.set(TcpOption.USER_TIMEOUT, 60_000);
    else if (what === "press") this.press(Math.ceil(pool.freeSmall / 3));
    else if (what === "relieve") this.relieve();
    this.pass({ tick: 1_000, pause: 45_000, wait: 3_000_000 }[what] ?? 0);
  }

  private get unacked(): Seq {
    return this.s.world.tcp.tcb.select(this.s.row).sndUna;
  }

  private press(n: number): void {
    const { pool, tcp } = this.s.world;
    for (let i = 0; i < n; i++) {
      const slot = pool.freeSmall > 40 ? pool.take() : NO_SLOT;
      if (slot === NO_SLOT) break;
      this.held.push(slot);
    }
    tcp.batchArrives();
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
      records: this.t.recovery.queue.inUse,
      counters: tcp.counters.snapshot(),
      drops: tcp.drops.snapshot(),
      timers: [...world.timers],
      readiness: tcp.readiness(row),
    };
  }
}

for (const hasSack of [true, false]) {
  test(`with SACK ${hasSack ? "on" : "off"}, nothing tells the quick ways from the general one`, () => {
    const o: ScriptOptions = {
      peerSyn: `mss 1000 ws 0${hasSack ? " sackOK" : ""} ts 100 0`,
      smallSlots: 200,
      bigSlots: 16,
      settings: { timestamps: true, windowScaling: true },
    };
    let watched = 0;
    fc.assert(
      fc.property(steps, (list) => {
        const quick = new Side(o, true);
        const general = new Side(o, false);
        for (const step of list) {
          for (const side of [quick, general]) {
            if (typeof step === "string") side.act(step);
            else if ("answer" in step) side.exchange(step);
            else side.segment(step);
          }
          assert.deepEqual(quick.all, general.all, JSON.stringify(step));
          if (quick.isWatched) watched++;
          if (quick.s.state === State.CLOSED || quick.s.state === State.FREE) break;
        }
      }),
      { numRuns: 100 },
    );
    assert.ok(watched > 500, `${watched} steps went by views`);
  });
}
