import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { NEVER } from "../base/time.js";
import { CapturedPacket } from "../wire/capture-file.js";
import { PcapWriter } from "../wire/pcap.js";
import {
  assertAllFree,
  batchOf,
  frame,
  makePool,
  parseSlot,
  pattern,
  receiveAll,
} from "./frame-fixture.js";
import { openPcap, PcapDevice } from "./pcap-device.js";

/** A capture of frames with these sequence numbers, one each 100 µs from 1,000 s on. */
function capture(numbers: number[], change?: (p: CapturedPacket, i: number) => void): Uint8Array {
  const pool = makePool();
  const writer = new PcapWriter({ linkType: 1 });
  numbers.forEach((seq, i) => {
    const slot = frame(pool, { seq });
    const p = new CapturedPacket();
    p.bytes = pool.bytes;
    p.at = pool.at[slot]!;
    p.end = pool.end[slot]!;
    p.lengthBytes = p.end - p.at;
    p.linkType = 1;
    p.seconds = 1000;
    p.nanos = i * 100_000;
    change?.(p, i);
    writer.add(p);
    pool.give(slot);
  });
  return writer.take().slice();
}

/** Reads a buffer in chunks of `n` bytes. */
function reader(bytes: Uint8Array, n: number): () => Uint8Array {
  let at = 0;
  return () => {
    at += n;
    return bytes.subarray(at - n, at);
  };
}

test("frames come at the capture's distances in time, from the first receive on", () => {
  const pool = makePool();
  const device = new PcapDevice(pool, { read: reader(capture([1, 2, 3]), 37) });
  const seqs = (now: number): number[] =>
    receiveAll(device, now).map((slot) => {
      const { seq } = parseSlot(pool, slot);
      pool.give(slot);
      return seq;
    });
  assert.ok(device.nextDeadlineUs() <= 5000);
  assert.deepEqual(seqs(5000), [1]);
  assert.equal(device.nextDeadlineUs(), 5100);
  assert.deepEqual(seqs(5099), []);
  assert.deepEqual(seqs(5200), [2, 3]);
  assert.equal(device.isFinished, true);
  assert.equal(device.nextDeadlineUs(), NEVER);
  assert.equal(device.error, null);
  assertAllFree(pool);
});

test("immediate timing takes what the batch and the pool hold", () => {
  const pool = makePool(70);
  const file = capture(Array.from({ length: 100 }, (_, i) => i));
  const device = new PcapDevice(pool, { read: reader(file, 65_536), timing: "immediate" });
  const first = receiveAll(device, 0);
  assert.equal(first.length, 70);
  assert.equal(device.counters.get("rxNoSlot") > 0, true);
  for (const slot of first) pool.give(slot);
  const seqs = receiveAll(device, 0).map((slot) => parseSlot(pool, slot).seq);
  assert.deepEqual(
    seqs,
    Array.from({ length: 30 }, (_, i) => 70 + i),
  );
});

test("packets that were cut short are skipped and counted", () => {
  const pool = makePool();
  const file = capture([1, 2, 3], (p, i) => {
    if (i === 1) p.end -= 4;
  });
  const device = new PcapDevice(pool, { read: reader(file, 100), timing: "immediate" });
  const seqs = receiveAll(device, 0).map((slot) => parseSlot(pool, slot).seq);
  assert.deepEqual(seqs, [1, 3]);
  assert.equal(device.counters.get("rxErrors"), 1);
});

test("a damaged file ends replay with a reason", () => {
  const pool = makePool();
  const file = capture([1, 2]).slice(0, -10);
  const device = new PcapDevice(pool, { read: reader(file, 1000), timing: "immediate" });
  assert.equal(receiveAll(device, 0).length, 1);
  assert.equal(device.isFinished, true);
  assert.match(device.error!, /^pcap: at byte \d+: /);
});

test("what one device records another replays", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-"));
  try {
    const file = join(folder, "a.pcapng");
    const pool = makePool();
    const out = openPcap(pool, { record: file, epochOffsetUs: 10 ** 15 });
    out.transmit(100, batchOf(frame(pool, { seq: 1 }), frame(pool, { seq: 2, partial: true })));
    out.transmit(350, batchOf(frame(pool, { seq: 3, payload: pattern(9000), gsoBytes: 1000 })));
    assert.equal(out.counters.get("txFrames"), 3);
    out.close();
    out.close();
    assertAllFree(pool);
    const back = openPcap(pool, { replay: file });
    assert.equal(receiveAll(back, 0).length, 2);
    const [slot] = receiveAll(back, 250);
    assert.deepEqual(parseSlot(pool, slot!).payload, pattern(9000));
    assert.equal(parseSlot(pool, slot!).checksum, "good");
    back.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
