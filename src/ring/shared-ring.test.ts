import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { SharedRingConsumer, SharedRingProducer, sharedRingWords } from "./shared-ring.js";

const ring = (capacity: number): [Int32Array, SharedRingProducer, SharedRingConsumer] => {
  const words = new Int32Array(sharedRingWords(capacity));
  return [words, new SharedRingProducer(words, capacity), new SharedRingConsumer(words, capacity)];
};

test("values are seen after publish, and their places are free after release", () => {
  const [, producer, consumer] = ring(2);
  producer.put(10);
  producer.put(11);
  assert.equal(producer.put(12), false);
  assert.equal(consumer.ready, 0);
  producer.publish();
  assert.equal(consumer.ready, 2);
  assert.deepEqual([consumer.valueAt(0), consumer.valueAt(1)], [10, 11]);
  consumer.release(1);
  assert.equal(producer.room, 1);
});

test("any sequence does what an array does, over the wrap of the indices too", () => {
  const step = fc.oneof(fc.record({ put: fc.nat(6) }), fc.record({ take: fc.nat(6) }));
  const start = fc.constantFrom(0, -3, 0x7ffffffe);
  fc.assert(
    fc.property(fc.constantFrom(1, 4), start, fc.array(step), (capacity, at, steps) => {
      const words = new Int32Array(sharedRingWords(capacity));
      words[0] = at;
      words[16] = at;
      const producer = new SharedRingProducer(words, capacity);
      const consumer = new SharedRingConsumer(words, capacity);
      const model: number[] = [];
      let value = 0;
      for (const s of steps) {
        if ("put" in s) {
          for (let i = 0; i < s.put; i++) if (producer.put(value)) model.push(value++);
          producer.publish();
        } else {
          const n = Math.min(s.take, consumer.ready);
          for (let i = 0; i < n; i++) assert.equal(consumer.valueAt(i), model.shift());
          consumer.release(n);
        }
        assert.ok(model.length <= capacity);
      }
      assert.equal(consumer.broken || producer.broken, false);
    }),
  );
});

test("a peer's impossible index breaks the ring for good, and costs nothing else", () => {
  for (const lie of [5, -1, 0x7fffffff, -0x80000000]) {
    const [words, producer, consumer] = ring(4);
    words[16] = lie;
    assert.equal(consumer.ready, 0, `tail ${lie}`);
    assert.equal(consumer.broken, true);
    words[16] = 1;
    assert.equal(consumer.ready, 0, "broken stays broken");
    for (let i = 0; i < 4; i++) producer.put(i);
    words[0] = lie;
    assert.equal(producer.room, 0, `head ${lie}`);
    assert.equal(producer.broken, true);
  }
});

test("memory that is too small is refused", () => {
  assert.throws(() => new SharedRingProducer(new Int32Array(32), 4), /expected 36 words, got 32/);
});

test("two threads pass 200,000 values in order", async () => {
  const shared = new SharedArrayBuffer(sharedRingWords(64) * 4);
  const words = new Int32Array(shared);
  const total = 200_000;
  const source = `
    import { workerData } from "node:worker_threads";
    import { SharedRingProducer } from ${JSON.stringify(new URL("shared-ring.js", import.meta.url).href)};
    const producer = new SharedRingProducer(new Int32Array(workerData), 64);
    for (let i = 0; i < ${total}; ) {
      for (let n = 0; n < 16 && i < ${total} && producer.put(i); n++) i++;
      producer.publish();
    }`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: shared,
  });
  const consumer = new SharedRingConsumer(words, 64);
  const failed = new Promise((_, reject) => worker.once("error", reject));
  let next = 0;
  while (next < total) {
    const n = consumer.ready;
    for (let i = 0; i < n; i++) if (consumer.valueAt(i) !== next++) assert.fail(`at ${next}`);
    if (n > 0) consumer.release(n);
    else await Promise.race([new Promise(setImmediate), failed]);
  }
  assert.equal(consumer.broken, false);
  await worker.terminate();
});
