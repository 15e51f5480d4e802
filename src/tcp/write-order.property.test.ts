/** What connections have written leaves in the order in which the program has written it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { TcpWorld } from "../../test/support/tcp-world.js";
import * as wire from "../wire/tcp.js";
import { diff } from "./seq.js";
import { TcpOption } from "./tcp-option.js";
import { Shutdown } from "./transfer-flags.js";

const ROWS = 5;
const FIRST_PORT = 40_000;

/** Connections of `a` to `b` without delay, in turns that the test makes. */
class Sides {
  readonly a: TcpWorld;
  readonly b: TcpWorld;
  readonly rows: number[] = [];
  readonly peers: number[] = [];
  /** Ports of `a` whose data or FIN have left since the last turn, each once. */
  left: number[] = [];
  private readonly inbox: { from: TcpWorld; to: TcpWorld; bytes: Uint8Array }[] = [];

  constructor(places: boolean) {
    this.a = new TcpWorld({ local: "10.0.0.1", places });
    this.b = new TcpWorld({ local: "10.0.0.2", seed: 2 });
    this.join(this.a, this.b);
    this.join(this.b, this.a);
    const listener = this.b.listen(80);
    for (let k = 0; k < ROWS; k++) {
      const row = this.a.connect(this.b.local, 80, FIRST_PORT + k);
      this.turn(1);
      this.rows.push(row);
      this.peers.push(this.b.tcp.accept(listener));
      this.a.tcp.setOption(row, TcpOption.NODELAY, 1, this.a.nowUs);
    }
  }

  /** What is under way arrives, until nothing is; `a` sends only in the end. */
  arrive(): void {
    for (let one = this.inbox.shift(); one !== undefined; one = this.inbox.shift()) {
      const p = one.to.pool;
      const slot = one.bytes.length > 1_900 ? p.takeBig() : p.take();
      const at = p.base(slot) + 128;
      p.bytes.set(one.bytes, at);
      p.at[slot] = at;
      p.l4At[slot] = at;
      p.end[slot] = at + one.bytes.length;
      p.gsoBytes[slot] = 0;
      p.flags[slot] = 0;
      one.to.deliver(slot, one.from.local);
    }
  }

  turn(us: number): void {
    const nowUs = this.a.nowUs + us;
    for (let k = 0; k < 3; k++) {
      this.a.turn(nowUs);
      this.arrive();
      this.b.turn(nowUs);
      this.arrive();
    }
  }

  private join(from: TcpWorld, to: TcpWorld): void {
    from.sink = (slot) => {
      const p = from.pool;
      const at = p.at[slot]!;
      const bytes = p.bytes.slice(at, p.end[slot]!);
      p.give(slot);
      this.inbox.push({ from, to, bytes });
      const port = wire.srcPort(bytes, 0);
      const hasNews =
        bytes.length > wire.headerBytes(bytes, 0) || (wire.flags(bytes, 0) & wire.FIN) !== 0;
      if (from === this.a && hasNews && !this.left.includes(port)) this.left.push(port);
    };
  }
}

const row = fc.nat(ROWS - 1);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ write: row, n: fc.constantFrom(1, 64, 64, 1_500, 9_000) }) },
  { weight: 3, arbitrary: fc.record({ hear: row, n: fc.constantFrom(1, 64, 5_000, 40_000) }) },
  { weight: 2, arbitrary: fc.record({ read: row }) },
  { weight: 1, arbitrary: fc.record({ end: row }) },
  { weight: 2, arbitrary: fc.record({ turnUs: fc.constantFrom(1, 50, 45_000) }) },
  { weight: 4, arbitrary: fc.record({ ask: row }) },
);
type Step = Partial<Record<"write" | "hear" | "read" | "end" | "ask" | "n" | "turnUs", number>>;

function hasUnsent(world: TcpWorld, row: number): boolean {
  const c = world.tcp.tcb.select(row);
  return c.sndQueuedBytes > diff(c.sndNxt, c.sndUna);
}

function run(steps: readonly Step[], places: boolean): void {
  const s = new Sides(places);
  const { a, b } = s;
  const ended = new Set<number>();
  let wrote: number[] = [];
  const write = (k: number, n: number) => {
    if (ended.has(k)) return;
    assert.equal(a.write(s.rows[k]!, new Uint8Array(n)), n);
    if (!wrote.includes(FIRST_PORT + k)) wrote.push(FIRST_PORT + k);
  };
  // Connections with more than their window took: the rest leaves when ACKs open it, in their order.
  let waiting = new Set<number>();
  const check = () => {
    const isFirst = (port: number) => !waiting.has(port);
    assert.deepEqual(s.left.filter(isFirst), wrote.filter(isFirst));
    s.left = [];
    wrote = [];
    waiting = new Set(s.rows.flatMap((r, k) => (hasUnsent(a, r) ? [FIRST_PORT + k] : [])));
  };
  const turn = (us: number) => {
    s.turn(us);
    check();
    for (const peer of s.peers) b.read(peer, 100_000);
    s.turn(1);
    check();
  };
  for (const one of steps) {
    if (one.write !== undefined) write(one.write, one.n!);
    else if (one.read !== undefined) a.read(s.rows[one.read]!, 100_000);
    else if (one.hear !== undefined) {
      b.write(s.peers[one.hear]!, new Uint8Array(one.n!));
      b.tcp.flush(b.nowUs);
      s.arrive();
    } else if (one.end !== undefined) {
      if (ended.has(one.end)) continue;
      ended.add(one.end);
      a.tcp.shutdown(s.rows[one.end]!, Shutdown.WRITE, a.nowUs);
      if (!wrote.includes(FIRST_PORT + one.end)) wrote.push(FIRST_PORT + one.end);
    } else if (one.ask !== undefined) {
      // Often enough for the engine to watch the row (lockstep.ts): each answer acknowledges the question.
      for (let k = 0; k < 12; k++) {
        b.read(s.peers[one.ask]!, 100_000);
        b.write(s.peers[one.ask]!, new Uint8Array(64));
        b.tcp.flush(b.nowUs);
        s.arrive();
        a.read(s.rows[one.ask]!, 100_000);
        write(one.ask, 64);
        a.tcp.flush(a.nowUs);
        s.arrive();
        check();
      }
    } else turn(one.turnUs!);
  }
  turn(1);
}

test("first data leave in the order of the writes, whatever else rows were listed for", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, places) =>
      run(steps, places),
    ),
    { numRuns: 150 },
  );
});

test("a connection that has a window to announce is not the first for that", () => {
  run([{ hear: 0, n: 40_000 }, { read: 0 }, { write: 1, n: 64 }, { write: 0, n: 64 }], false);
});

test("what waits for the window leaves when it opens, not for another's data", () => {
  run([{ write: 3, n: 9_000 }, { write: 3, n: 9_000 }, { ask: 0 }], false);
});

test("a connection that asks and answers waits for those that have written before", () => {
  const steps = [{ ask: 0 }, { ask: 0 }, { hear: 0, n: 64 }, { read: 0 }];
  run([...steps, { write: 1, n: 64 }, { write: 0, n: 64 }], true);
});
