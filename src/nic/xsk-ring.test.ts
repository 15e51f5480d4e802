import assert from "node:assert/strict";
import { test } from "node:test";
import type { XskRing } from "../sys/xsk.js";
import { ConsumerRing, ProducerRing } from "./xsk-ring.js";

/** Places of the kernel's words, as far from each other as theirs. */
const [PRODUCER, CONSUMER, FLAGS, ENTRIES] = [0, 16, 32, 48];

function ring(): XskRing {
  return {
    words: new Int32Array(64),
    producerAt: PRODUCER,
    consumerAt: CONSUMER,
    flagsAt: FLAGS,
    entriesAt: ENTRIES,
    entries: 8,
  };
}

test("what is produced is waiting once published, until the kernel takes it", () => {
  const shared = ring();
  const producer = new ProducerRing(shared);
  producer.next = 5;
  assert.equal(shared.words[PRODUCER], 0, "nothing before it is published");
  producer.publish();
  assert.deepEqual([shared.words[PRODUCER], producer.waiting], [5, 5]);
  shared.words[CONSUMER] = 3;
  assert.equal(producer.waiting, 2);
});

test("indices wrap at 2^32", () => {
  const shared = ring();
  const consumer = new ConsumerRing(shared);
  consumer.next = 0x7fff_fffe;
  shared.words[PRODUCER] = -0x8000_0000 + 2;
  assert.equal(consumer.ready, 4);
  consumer.next = (consumer.next + 4) | 0;
  consumer.release();
  assert.equal(shared.words[CONSUMER], -0x8000_0000 + 2);
  assert.equal(consumer.ready, 0);
});

test("an index that cannot be is not believed", () => {
  const shared = ring();
  const consumer = new ConsumerRing(shared);
  const producer = new ProducerRing(shared);
  for (const wrong of [9, -1, 0x7fff_ffff]) {
    shared.words[PRODUCER] = wrong;
    assert.equal(consumer.ready, 0);
    shared.words[CONSUMER] = -wrong;
    assert.equal(producer.waiting, 0);
  }
});

test("the kernel asks to be woken by its flag", () => {
  const shared = ring();
  const producer = new ProducerRing(shared);
  assert.equal(producer.needsWakeup, false);
  shared.words[FLAGS] = 1;
  assert.equal(producer.needsWakeup, true);
});
