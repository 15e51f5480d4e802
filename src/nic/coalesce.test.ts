import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { Batch } from "../ring/batch.js";
import { FrameFlags } from "../ring/pool.js";
import * as tcp from "../wire/tcp.js";
import {
  assertAllFree,
  FakeDevice,
  type FrameSpec,
  frame,
  makePool,
  type Parsed,
  parseSlot,
  pattern,
} from "./frame-fixture.js";
import { Offload } from "./offload.js";

interface Received extends Parsed {
  readonly frameFlags: number;
  readonly gsoBytes: number;
}

/** Receives one batch of these frames through a coalescing Offload. */
function receive(
  specs: FrameSpec[],
  spoil?: (b: Uint8Array, at: number, i: number) => void,
): Received[] {
  const pool = makePool();
  const device = new FakeDevice(pool);
  const offload = new Offload(device, pool, { coalesce: true });
  specs.forEach((spec, i) => {
    const slot = frame(pool, spec);
    spoil?.(pool.bytes, pool.at[slot]!, i);
    device.arriving.push(slot);
  });
  const batch = new Batch();
  offload.receive(0, batch);
  const out = [...batch.slots.subarray(0, batch.n)].map((slot) => ({
    ...parseSlot(pool, slot),
    frameFlags: pool.flags[slot]!,
    gsoBytes: pool.gsoBytes[slot]!,
  }));
  assert.equal(offload.offloads.get("joined"), specs.length - batch.n);
  for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
  offload.close();
  assertAllFree(pool);
  return out;
}

const lengths = (frames: Received[]): number[] => frames.map((f) => f.payload.length);
/** Segments of these sizes in sequence. */
function stream(sizes: number[], more: FrameSpec = {}, seq = 1): FrameSpec[] {
  return sizes.map((n) => {
    const spec = { ...more, seq, payload: pattern(n, seq) };
    seq += n;
    return spec;
  });
}

test("segments in sequence become one, that looks as one from virtio", () => {
  for (const v6 of [false, true]) {
    const [one, ...rest] = receive(stream([1000, 1000, 1000, 400], { v6, id: 7 }));
    assert.deepEqual(rest, []);
    assert.deepEqual(one!.payload, pattern(3400, 1));
    assert.equal(one!.checksum, "partial");
    assert.equal(one!.gsoBytes, 1000);
    const gso = v6 ? FrameFlags.GSO_TCP6 : FrameFlags.GSO_TCP4;
    assert.equal(one!.frameFlags, gso | FrameFlags.CHECKSUM_PARTIAL);
  }
});

test("a segment alone is not touched", () => {
  const [one] = receive([{ payload: pattern(100) }, { protocol: "udp" }]);
  assert.deepEqual([one!.checksum, one!.frameFlags], ["good", 0]);
});

test("PSH ends a group and is kept", () => {
  const specs = stream([500, 500, 500, 500]);
  specs[1] = { ...specs[1], flags: tcp.ACK | tcp.PSH };
  const frames = receive(specs);
  assert.deepEqual(lengths(frames), [1000, 1000]);
  assert.deepEqual(
    frames.map((f) => f.flags),
    [tcp.ACK | tcp.PSH, tcp.ACK],
  );
});

test("a shorter segment is the last of its group", () => {
  assert.deepEqual(lengths(receive(stream([500, 500, 300, 500, 500]))), [1300, 1000]);
});

test("a longer segment starts a group of its own", () => {
  assert.deepEqual(lengths(receive(stream([300, 500, 500]))), [300, 1000]);
});

test("a gap, another acknowledgement, window or option, and other flags are not joined", () => {
  const [a, b] = stream([100, 100]) as [FrameSpec, FrameSpec];
  const options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
  const later = options.with(7, 9);
  const cases: [FrameSpec, FrameSpec][] = [
    [a, { ...b, seq: 102 }],
    [a, { ...b, seq: 100 }],
    [a, { ...b, ack: 2 }],
    [a, { ...b, window: 999 }],
    [a, { ...b, options }],
    [
      { ...a, options },
      { ...b, options: later },
    ],
    ...[tcp.FIN, tcp.RST, tcp.URG, tcp.ECE, tcp.CWR, tcp.SYN].map(
      (flag): [FrameSpec, FrameSpec] => [a, { ...b, flags: tcp.ACK | flag }],
    ),
    [a, { ...b, srcPort: 1001 }],
    [a, { ...b, v6: true }],
  ];
  for (const pair of cases) assert.equal(receive(pair).length, 2, JSON.stringify(pair[1]));
  assert.equal(
    receive([
      { ...a, options },
      { ...b, options },
    ]).length,
    1,
  );
});

test("another TOS, TTL or MAC address, and a fragment, are not joined", () => {
  for (const at of [0, 6, 14 + 1, 14 + 8]) {
    const spoil = (b: Uint8Array, frameAt: number, i: number): void => {
      if (i === 0) return;
      b[frameAt + at]! ^= 4;
      if (at < 14) return;
      // Keeps the header checksum right: the same bit is taken from the same half of the id.
      const pair = frameAt + 14 + (at % 2 === 0 ? 4 : 5);
      const before = b[frameAt + at]! ^ 4;
      b[pair]! -= b[frameAt + at]! - before;
    };
    const specs = stream([100, 100]).map((s) => ({ ...s, id: 0x8080 }));
    assert.equal(receive(specs, spoil).length, 2, `byte ${at}`);
  }
});

test("a damaged segment is left for the stack, and nothing is joined over it", () => {
  const frames = receive(stream([100, 100, 100, 100]), (b, at, i) => {
    if (i === 1) b[at + 14 + 20 + 20 + 5]! ^= 1;
  });
  assert.deepEqual(lengths(frames), [100, 100, 200]);
  assert.deepEqual(
    frames.map((f) => f.checksum),
    ["good", "bad", "partial"],
  );
});

test("flows that alternate are joined apart, in the order of their first segments", () => {
  const a = stream([100, 100, 100], { srcPort: 1 });
  const b = stream([200, 200, 200], { srcPort: 2, v6: true });
  const frames = receive([a[0]!, b[0]!, { protocol: "udp" }, a[1]!, b[1]!, b[2]!, a[2]!]);
  assert.deepEqual(lengths(frames), [300, 600, 10]);
});

test("more flows than groups lose nothing", () => {
  const flows = Array.from({ length: 12 }, (_, i) => stream([50, 50, 50], { srcPort: i + 1 }));
  const frames = receive([0, 1, 2].flatMap((i) => flows.map((f) => f[i]!)));
  assert.equal(
    lengths(frames).reduce((x, y) => x + y),
    12 * 150,
  );
});

test("an IP packet never grows over 65,535 bytes", () => {
  const frames = receive(stream(new Array<number>(60).fill(1400)));
  assert.deepEqual(lengths(frames), [46 * 1400, 14 * 1400]);
});

test("any batch keeps every flow's bytes in their order", () => {
  const spec = fc.record({
    flow: fc.nat(2),
    n: fc.constantFrom(100, 100, 100, 60, 0),
    push: fc.constantFrom(0, 0, 0, tcp.PSH, tcp.FIN),
    skip: fc.constantFrom(0, 0, 0, 0, 7),
    v6: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(spec, { maxLength: 40 }), (plan) => {
      const next = [1, 1, 1];
      const specs = plan.map(({ flow, n, push, skip }) => {
        const seq = next[flow]! + skip;
        next[flow] = seq + n;
        const v6 = flow === 2;
        return {
          srcPort: 100 + (flow & 1),
          v6,
          seq,
          payload: pattern(n, seq),
          flags: tcp.ACK | push,
        };
      });
      const bytesOf = (
        frames: { v6?: boolean; seq?: number; payload?: Uint8Array }[],
        v6: boolean,
      ) =>
        frames
          .filter((f) => f.v6 === v6)
          .flatMap((f) => [...f.payload!].map((value, i) => `${f.seq! + i}:${value}`));
      const frames = receive(specs);
      assert.deepEqual(bytesOf(frames, true), bytesOf(specs, true));
      assert.deepEqual(bytesOf(frames, false).toSorted(), bytesOf(specs, false).toSorted());
    }),
    { numRuns: 60 },
  );
});
