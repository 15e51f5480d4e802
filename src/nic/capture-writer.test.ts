import assert from "node:assert/strict";
import { test } from "node:test";
import { Direction } from "../wire/capture-file.js";
import { CaptureReader } from "../wire/capture-reader.js";
import type { CaptureSink } from "./capture-recorder.js";
import { CaptureWriter } from "./capture-writer.js";
import {
  assertAllFree,
  batchOf,
  FakeDevice,
  frame,
  makePool,
  parse,
  parseSlot,
  pattern,
  receiveAll,
} from "./frame-fixture.js";

class MemorySink implements CaptureSink {
  isReady = true;
  writes = 0;
  readonly bytes: number[] = [];

  write(chunk: Uint8Array): void {
    this.writes++;
    for (const b of chunk) this.bytes.push(b);
  }

  /** What the file holds: sequence number, direction, µs since 1970, checksum. */
  packets(): [number, number, number, string][] {
    const reader = new CaptureReader();
    reader.push(Uint8Array.from(this.bytes));
    reader.end();
    const out: [number, number, number, string][] = [];
    while (reader.next()) {
      const p = reader.packet;
      const parsed = parse(p.bytes, p.at, p.end);
      out.push([parsed.seq, p.direction, p.seconds * 1e6 + p.nanos / 1000, parsed.checksum]);
    }
    assert.equal(reader.error, null);
    return out;
  }
}

function setUp(options = {}) {
  const pool = makePool();
  const device = new FakeDevice(pool);
  const sink = new MemorySink();
  const capture = new CaptureWriter(device, pool, sink, options);
  return { pool, device, sink, capture };
}

test("both directions are recorded in order, with wall-clock times and whole checksums", () => {
  const { pool, device, sink, capture } = setUp({ epochOffsetUs: 1_700_000_000_000_000 });
  device.arriving.push(frame(pool, { seq: 1, partial: true }));
  const received = receiveAll(capture, 10);
  const sent = frame(pool, { seq: 2, payload: pattern(5000), gsoBytes: 1000, v6: true });
  capture.transmit(20, batchOf(sent));
  assert.equal(
    parseSlot(pool, received[0]!).checksum,
    "partial",
    "the frame itself is not changed",
  );
  assert.equal(parseSlot(pool, sent).checksum, "partial");
  capture.close();
  capture.close();
  assert.deepEqual(sink.packets(), [
    [1, Direction.IN, 1_700_000_000_000_010, "good"],
    [2, Direction.OUT, 1_700_000_000_000_020, "good"],
  ]);
});

test("a frame that the device takes later is recorded once, and sent in order", () => {
  const { pool, device, sink, capture } = setUp();
  device.accepts = 1;
  const slots = [0, 1, 2].map((seq) => frame(pool, { seq }));
  assert.equal(capture.transmit(0, batchOf(...slots)), 3);
  assert.equal(device.taken.length, 1);
  device.accepts = 10;
  capture.flush(100);
  assert.deepEqual(device.taken, slots);
  capture.close();
  assert.deepEqual(
    sink.packets().map(([seq]) => seq),
    [0, 1, 2],
  );
  assertAllFree(pool);
});

test("bytes are written in chunks, or when they have waited", () => {
  const { pool, device, sink, capture } = setUp();
  for (let i = 0; i < 100; i++) {
    capture.transmit(0, batchOf(frame(pool, { payload: pattern(1400) })));
    pool.give(device.taken.pop()!);
  }
  assert.equal(sink.writes, 2);
  capture.flush(50_000);
  assert.equal(sink.writes, 2);
  capture.flush(150_000);
  assert.equal(sink.writes, 3);
  assert.equal(sink.packets().length, 100);
});

test("a slow sink costs frames in the file, counted, and none on the wire", () => {
  const { pool, device, sink, capture } = setUp({ maxPendingBytes: 10_000 });
  sink.isReady = false;
  for (let seq = 0; seq < 20; seq++) {
    capture.transmit(0, batchOf(frame(pool, { seq, payload: pattern(1400) })));
    pool.give(device.taken.pop()!);
  }
  const { recorded, dropped } = capture.recorder;
  assert.equal(recorded + dropped, 20);
  assert.ok(recorded >= 5 && recorded < 8, `${recorded} recorded`);
  assert.equal(sink.writes, 0);
  capture.close();
  assert.deepEqual(
    sink.packets().map(([seq]) => seq),
    Array.from({ length: recorded }, (_, i) => i),
  );
});
