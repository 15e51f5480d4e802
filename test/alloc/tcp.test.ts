/** TCP's data path allocates nothing: in-order segments in, segments and ACKs out. */
import assert from "node:assert/strict";
import { PerformanceObserver } from "node:perf_hooks";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { IpAddress } from "../../src/base/ip-address.js";
import { HEADROOM_BYTES } from "../../src/ring/pool.js";
import { SegmentInfo } from "../../src/tcp/segment-info.js";
import * as wire from "../../src/wire/tcp.js";
import * as options from "../../src/wire/tcp-options.js";
import { TcpWorld } from "../support/tcp-world.js";

const SEGMENTS = 1_000_000;
const BATCH = 32;
const PAYLOAD = 1448;
const PEER = IpAddress.parse("10.0.0.2");
const PORT = 80;

/** One established connection, and a peer that writes its segments in place. */
class Feed {
  readonly world = new TcpWorld({ smallSlots: 1024, settings: { moderateRcvbuf: false } });
  readonly info = new SegmentInfo();
  row: number;
  nowUs = 1000;
  seq = 100;
  ack = 0;
  /** End of the last segment that the engine sent. */
  sentEnd = 0;

  constructor() {
    const { world } = this;
    world.transmit = (_c, slot): void => {
      const { pool } = world;
      const at = pool.at[slot]!;
      const n = pool.end[slot]! - wire.payloadAt(pool.bytes, at);
      const syn = wire.flags(pool.bytes, at) & wire.SYN ? 1 : 0;
      this.sentEnd = (wire.seq(pool.bytes, at) + n + syn) | 0;
      pool.give(slot);
    };
    this.info.local.setFrom(world.local);
    this.info.remote.setFrom(PEER);
    const listener = world.listen(PORT);
    this.segment(listener, wire.SYN, 0);
    this.seq = 101;
    this.ack = this.sentEnd;
    const [child] = world.flows.values();
    this.segment(child!, wire.ACK, 0);
    this.row = world.tcp.accept(listener);
    assert.ok(this.row >= 0);
  }

  segment(row: number, flags: number, n: number): void {
    const { pool, tcp } = this.world;
    const slot = pool.take();
    const at = pool.base(slot) + HEADROOM_BYTES;
    let end = at + wire.HEADER_BYTES;
    if ((flags & wire.SYN) !== 0) {
      end = options.putMss(pool.bytes, end, 1460);
      end = options.putSackPermitted(pool.bytes, end);
      end = options.putWindowScale(pool.bytes, end, 7);
    }
    end = options.putTimestamps(pool.bytes, end, 5, 0);
    wire.writePorts(pool.bytes, at, 5000, PORT);
    wire.writeNumbers(pool.bytes, at, this.seq, this.ack);
    wire.writeControl(pool.bytes, at, end - at, flags, 65_535);
    pool.at[slot] = at;
    pool.l4At[slot] = at;
    pool.end[slot] = end + n;
    pool.flags[slot] = 0;
    tcp.segmentArrives(row, slot, this.info, this.nowUs);
  }
}

/** Collections while `work` runs, after it has run once to be compiled. */
async function collections(work: () => void): Promise<number> {
  work();
  let n = 0;
  const observer = new PerformanceObserver((list) => {
    n += list.getEntries().length;
  });
  observer.observe({ entryTypes: ["gc"] });
  await setImmediate();
  work();
  await setImmediate();
  n += observer.takeRecords().length;
  observer.disconnect();
  return n;
}

test("a million in-order segments in, read without a copy", async () => {
  const feed = new Feed();
  const { tcp, pool } = feed.world;
  const n = await collections(() => {
    for (let k = 0; k < SEGMENTS; k += BATCH) {
      for (let j = 0; j < BATCH; j++) {
        feed.segment(feed.row, wire.ACK, PAYLOAD);
        feed.seq = (feed.seq + PAYLOAD) | 0;
      }
      for (let s = tcp.receiveSlot(feed.row, feed.nowUs); s >= 0; ) {
        pool.give(s);
        s = tcp.receiveSlot(feed.row, feed.nowUs);
      }
      tcp.flush(feed.nowUs);
      feed.nowUs += 100;
    }
  });
  assert.equal(tcp.counters.get("predictedData"), 2 * SEGMENTS);
  assert.ok(n <= 2, `${n} collections`);
});

test("a million segments out, acknowledged", async () => {
  const feed = new Feed();
  const { tcp, pool } = feed.world;
  // A user's bytes that lie outside the arena cost a view for each write (base/bytes.ts, `copy`).
  const from = pool.base(pool.takeBig());
  const n = await collections(() => {
    for (let k = 0; k < SEGMENTS; k += 10) {
      assertSent(tcp.send(feed.row, pool.bytes, from, 10 * PAYLOAD, 0, feed.nowUs));
      tcp.flush(feed.nowUs);
      feed.ack = feed.sentEnd;
      feed.segment(feed.row, wire.ACK, 0);
      tcp.flush(feed.nowUs);
      feed.nowUs += 100;
    }
  });
  assert.ok(tcp.counters.get("outSegs") >= 2 * SEGMENTS);
  assert.ok(n <= 2, `${n} collections`);
});

function assertSent(n: number): void {
  if (n <= 0) throw new Error(`send gave ${n}`);
}
