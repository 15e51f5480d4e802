import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { type PipeOptions, TcpPipe } from "../../test/support/tcp-pipe.js";
import { pattern } from "../../test/support/tcp-script.js";
import type { TcpWorld } from "../../test/support/tcp-world.js";
import { isSynchronized } from "./state.js";
import { TcpOption } from "./tcp-option.js";

const PORT = 80;

/** Sends `n` bytes each way over one connection, reads all, closes both; asserts that all is exact. */
function exchange(pipe: TcpPipe, toB: number, toA: number, limitMs = 600_000): void {
  const { a, b } = pipe;
  const listener = b.listen(PORT);
  const rowA = a.connect(b.local, PORT);
  let rowB = -1;
  const send = [pattern(0, toB), pattern(3, toA)];
  const sent = [0, 0];
  const got: number[] = [0, 0];
  const ended = [false, false];
  const closed = [false, false];
  const side = (w: TcpWorld, row: number, me: number): void => {
    const data = send[me]!;
    while (sent[me]! < data.length) {
      const n = w.tcp.send(
        row,
        data,
        sent[me]!,
        Math.min(data.length - sent[me]!, 50_000),
        0,
        pipe.nowUs,
      );
      if (n < 0) {
        assert.equal(n, -11, `send on side ${me}`);
        break;
      }
      sent[me]! += n;
    }
    const peer = send[1 - me]!;
    for (;;) {
      const bytes = w.read(row, 20_000);
      if (typeof bytes === "number") {
        assert.equal(bytes, -11, `read on side ${me}`);
        break;
      }
      if (bytes === null) {
        ended[me] = true;
        break;
      }
      const expected = peer.subarray(got[me]!, got[me]! + bytes.length);
      assert.ok(Buffer.compare(bytes, expected) === 0, `bytes at ${got[me]} of side ${me}`);
      got[me]! += bytes.length;
    }
    if (sent[me] === data.length && !closed[me] && isSynchronized(w.stateOf(row))) {
      closed[me] = w.tcp.shutdown(row, 1, pipe.nowUs) === 0;
    }
  };
  const done = pipe.run(
    limitMs,
    () => ended[0]! && ended[1]!,
    () => {
      if (rowB < 0) rowB = b.tcp.accept(listener);
      side(a, rowA, 0);
      if (rowB >= 0) side(b, rowB, 1);
    },
  );
  assert.ok(done, `stuck at ${got} of ${[toA, toB]} after ${pipe.nowUs / 1000} ms`);
  assert.deepEqual(got, [toA, toB]);
  a.tcp.close(rowA, pipe.nowUs);
  b.tcp.close(rowB, pipe.nowUs);
  b.closeListener(PORT);
  pipe.run(2_000_000, () => false);
  a.assertClean();
  b.assertClean();
}

test("a megabyte each way over a clean pipe arrives intact and leaves nothing behind", () => {
  const pipe = new TcpPipe();
  exchange(pipe, 1_000_000, 1_000_000);
});

test("with segmentation by the device, split or passed whole", () => {
  const pipe = new TcpPipe({ a: { gsoBytes: 60_000 }, b: { gsoBytes: 60_000 } });
  exchange(pipe, 1_000_000, 500_000);
});

test("with large segments sent from the send queue itself", () => {
  const world = { gsoBytes: 60_000, borrows: true, bigSlots: 128 };
  const pipe = new TcpPipe({ loss: 0.01, a: world, b: world });
  exchange(pipe, 3_000_000, 500_000);
});

const options = fc.record({
  seed: fc.integer({ min: 1, max: 1_000_000 }),
  loss: fc.constantFrom(0, 0.01, 0.05, 0.1),
  duplicate: fc.constantFrom(0, 0.05),
  reorder: fc.constantFrom(0, 0.05, 0.3),
  delayUs: fc.constantFrom(100, 10_000, 80_000),
  gso: fc.boolean(),
  borrows: fc.boolean(),
  timestamps: fc.boolean(),
  sack: fc.boolean(),
  windowScaling: fc.boolean(),
  toB: fc.integer({ min: 0, max: 200_000 }),
  toA: fc.integer({ min: 0, max: 60_000 }),
});

test("whatever the pipe does, the bytes arrive exactly and nothing leaks", () => {
  fc.assert(
    fc.property(options, (o) => {
      const world = {
        gsoBytes: o.gso ? 30_000 : 0,
        borrows: o.borrows,
        settings: { timestamps: o.timestamps, sack: o.sack, windowScaling: o.windowScaling },
      };
      const pipe = new TcpPipe({ ...(o as PipeOptions), a: world, b: world });
      exchange(pipe, o.toB, o.toA, 3_000_000);
    }),
    { numRuns: 40 },
  );
});

test("a slow reader closes the window and opens it again; nothing is lost", () => {
  const pipe = new TcpPipe({ delayUs: 1000 });
  const { a, b } = pipe;
  const listener = b.listen(PORT);
  b.tcp.setOption(listener, TcpOption.RCVBUF, 60_000, 0);
  const rowA = a.connect(b.local, PORT);
  pipe.run(100, () => false);
  const rowB = b.tcp.accept(listener);
  const data = pattern(0, 400_000);
  let sent = 0;
  let got = 0;
  const write = (): void => {
    const n = a.tcp.send(rowA, data, sent, data.length - sent, 0, pipe.nowUs);
    if (n > 0) sent += n;
  };
  for (let turn = 0; turn < 40 && got < data.length; turn++) {
    pipe.run(3000, () => false, write);
    const bytes = b.read(rowB, 30_000);
    if (!(bytes instanceof Uint8Array)) continue;
    assert.ok(Buffer.compare(bytes, data.subarray(got, got + bytes.length)) === 0);
    got += bytes.length;
  }
  assert.equal(got, data.length);
  assert.ok(a.tcp.counters.get("windowProbes") > 0);
});

test("without SACK, the holes of a lost window are filled without a timeout for each", () => {
  const world = {
    gsoBytes: 30_000,
    settings: { timestamps: false, sack: false, windowScaling: false },
  };
  const pipe = new TcpPipe({ seed: 303_200, loss: 0.1, delayUs: 100, a: world, b: world });
  exchange(pipe, 29_241, 4_381, 5_000);
});

/** A pipe whose clock starts such that `field` of a's row begins `before` a number. */
function startingBefore(
  field: "iss" | "tsVal",
  limit: number,
  before: number,
  o: PipeOptions,
): TcpPipe {
  const probe = new TcpPipe(o);
  probe.b.listen(PORT);
  const row = probe.a.connect(probe.b.local, PORT);
  const c = probe.a.tcp.tcb.select(row);
  const now = field === "iss" ? c.iss : c.tsOffset;
  const ticks = (limit - before - now) >>> 0;
  const pipe = new TcpPipe(o);
  pipe.nowUs = ticks * (field === "iss" ? 4 : 1_000);
  pipe.a.nowUs = pipe.nowUs;
  pipe.b.nowUs = pipe.nowUs;
  return pipe;
}

for (const limit of [2 ** 31, 2 ** 32]) {
  for (const before of [1, 1_000, 30_000]) {
    for (const loss of [0, 0.05]) {
      const o = { seed: 7, loss, reorder: loss, a: { gsoBytes: 60_000 }, delayUs: 20_000 };
      test(`numbers pass ${limit} after ${before}, ${100 * loss} % lost`, () => {
        exchange(startingBefore("iss", limit, before, o), 200_000, 50_000);
        exchange(startingBefore("tsVal", limit, Math.ceil(before / 10), o), 200_000, 50_000);
      });
    }
  }
}
