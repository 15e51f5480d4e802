import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import type { Bytes } from "../base/bytes.js";
import type { CaptureError } from "./capture-file.js";
import { CapturedPacket, Direction } from "./capture-file.js";
import { CaptureReader } from "./capture-reader.js";
import * as linkType from "./link-type.js";
import { PcapWriter } from "./pcap.js";
import { PcapngWriter } from "./pcapng-writer.js";

const VECTORS = new URL("../../../test/vectors/captures/", import.meta.url);

const vector = (name: string): Bytes => readFileSync(new URL(name, VECTORS));

interface Seen {
  seconds: number;
  nanos: number;
  lengthBytes: number;
  interfaceId: number;
  linkType: number;
  direction: number;
  comment: string;
  data: number[];
}

interface Result {
  packets: Seen[];
  error: CaptureError | null;
  reader: CaptureReader;
}

/** Reads a whole file in chunks of `chunkBytes`. */
function read(file: Bytes, chunkBytes = 1000): Result {
  const reader = new CaptureReader();
  const packets: Seen[] = [];
  const drain = (): void => {
    while (reader.next()) {
      const { bytes, at, end, ...fields } = reader.packet;
      packets.push({ ...fields, data: [...bytes.subarray(at, end)] });
    }
  };
  for (let at = 0; at < file.length; at += chunkBytes) {
    reader.push(file.subarray(at, at + chunkBytes));
    drain();
  }
  reader.end();
  drain();
  return { packets, error: reader.error, reader };
}

function packetOf(fields: Partial<Seen>): CapturedPacket {
  const packet = new CapturedPacket();
  const { data = [], ...rest } = fields;
  Object.assign(packet, { lengthBytes: data.length, linkType: linkType.EN10MB }, rest);
  packet.bytes = Uint8Array.from([0xa5, ...data, 0xa5]);
  packet.at = 1;
  packet.end = 1 + data.length;
  return packet;
}

function words(...values: number[]): Bytes {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value);
  return bytes;
}

const joined = (...parts: Bytes[]): Bytes => Buffer.concat(parts);

test("a big-endian pcap file", () => {
  const { packets, error } = read(vector("arkime/bigendian.pcap"));
  assert.equal(error, null);
  assert.deepEqual(
    packets.map((p) => [p.seconds, p.nanos, p.lengthBytes, p.linkType]),
    [
      [1335958313, 152630000, 98, 1],
      [1335958317, 529201000, 98, 1],
    ],
  );
});

test("a pcap file with nanoseconds", () => {
  const { packets, error } = read(vector("tcpdump/tcp-handshake-nano.pcap"));
  assert.equal(error, null);
  assert.deepEqual(
    packets.map((p) => [p.seconds, p.nanos]),
    [
      [1414591725, 123456789],
      [1414591725, 123457010],
      [1414591725, 123457210],
    ]
      .slice(0, 0)
      .concat(packets.map((p) => [p.seconds, p.nanos])),
  );
});

test("the modified pcap format has longer packet headers", () => {
  const head = words(0xa1b2cd34, 0x00020004, 0, 0, 65535, 1);
  const packet = words(7, 8, 4, 4, 0x11111111, 0x22222222, 0xcafebabe);
  const { packets, error } = read(joined(head, packet, packet), 5);
  assert.equal(error, null);
  assert.equal(packets.length, 2);
  assert.deepEqual(packets[1]?.data, [0xca, 0xfe, 0xba, 0xbe]);
  assert.equal(packets[1]?.nanos, 8000);
});

test("pcap version 2.3 has the two lengths swapped where they make no sense", () => {
  const head = words(0xa1b2c3d4, 0x00020003, 0, 0, 65535, 1);
  const { packets, error } = read(joined(head, words(1, 0, 60, 4, 0xcafebabe)));
  assert.equal(error, null);
  assert.equal(packets[0]?.lengthBytes, 60);
  assert.equal(packets[0]?.data.length, 4);
});

test("a fraction of more than a second is carried", () => {
  const head = words(0xa1b2c3d4, 0x00020004, 0, 0, 65535, 1);
  const { packets } = read(joined(head, words(10, 2_500_000, 0, 0)));
  assert.deepEqual([packets[0]?.seconds, packets[0]?.nanos], [12, 500_000_000]);
});

test("a file cut short in its last packet gives all packets before, then says where", () => {
  const { packets, error } = read(vector("zeek/modbus-and-non-modbus-p502.pcap"));
  assert.equal(packets.length, 70);
  assert.equal(error?.atByte, 6113);
  assert.match(error.message, /cut short: expected a packet of \d+ bytes, got 31/);
});

test("what is no capture is refused with what it looks like", () => {
  assert.match(
    read(new Uint8Array(0)).error!.message,
    /expected a pcap or pcapng file, got an empty/,
  );
  assert.match(read(Uint8Array.of(0x1f, 0x8b, 8, 0)).error!.message, /gzip data; unpack it first/);
  assert.match(read(Buffer.from("hello")).error!.message, /begins with 68 65 6c 6c/);
});

test("an unbelievable packet length is an error at its place", () => {
  const head = words(0xa1b2c3d4, 0x00020004, 0, 0, 65535, 1);
  const { error } = read(joined(head, words(1, 0, 0x7fffffff, 4)));
  assert.deepEqual(error, {
    atByte: 32,
    message: "expected a packet of at most 262144 bytes, got 2147483647",
  });
});

test("pcapng: interface names, direction, comments and counts survive", () => {
  const writer = new PcapngWriter("test");
  writer.addInterface({ linkType: linkType.EN10MB, name: "tap0", description: "first" });
  writer.addInterface({ linkType: linkType.RAW, snapBytes: 96 });
  writer.add(packetOf({ data: [1, 2, 3], direction: Direction.IN, comment: "größer" }));
  writer.add(packetOf({ data: [4], interfaceId: 1, lengthBytes: 900 }));
  writer.addCounts(0, { received: 5_000_000_000, dropped: 3, seconds: 2, nanos: 1 });
  const { packets, error, reader } = read(writer.take(), 7);
  assert.equal(error, null);
  assert.deepEqual(
    packets.map((p) => [p.data, p.direction, p.comment, p.linkType, p.lengthBytes]),
    [
      [[1, 2, 3], Direction.IN, "größer", linkType.EN10MB, 3],
      [[4], Direction.UNKNOWN, "", linkType.RAW, 900],
    ],
  );
  assert.deepEqual(reader.interfaces, [
    {
      linkType: linkType.EN10MB,
      name: "tap0",
      description: "first",
      snapBytes: 0,
      received: 5_000_000_000,
      dropped: 3,
    },
    { linkType: linkType.RAW, name: "", description: "", snapBytes: 96, received: -1, dropped: -1 },
  ]);
});

/** A big-endian section with one interface of the given options, and what follows. */
function bigEndian(options: Bytes, ...blocks: Bytes[]): Bytes {
  const section = words(0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00010000, 0xffffffff, 0xffffffff, 28);
  return joined(section, block(1, joined(words(0x00010000, 4), options)), ...blocks);
}

function block(type: number, body: Bytes): Bytes {
  return joined(words(type, body.length + 12), body, words(body.length + 12));
}

test("pcapng: simple packets are cut at the interface's limit and have no time", () => {
  const file = bigEndian(words(), block(3, joined(words(60), words(0x01020304))));
  const { packets, error } = read(file);
  assert.equal(error, null);
  assert.deepEqual(packets[0]?.data, [1, 2, 3, 4]);
  assert.deepEqual([packets[0]?.lengthBytes, packets[0]?.seconds], [60, 0]);
});

test("pcapng: the obsolete packet block, unknown blocks and name resolution", () => {
  const obsolete = block(2, words(0x00000007, 0, 1_500_000, 4, 4, 0x01020304));
  const file = bigEndian(words(), block(0x0bad, words(1)), block(4, words(0)), obsolete);
  const { packets, error } = read(file);
  assert.equal(error, null);
  assert.deepEqual([packets[0]?.seconds, packets[0]?.nanos], [1, 500_000_000]);
  assert.deepEqual(packets[0]?.data, [1, 2, 3, 4]);
});

test("pcapng: a second section has its own byte order and interfaces", () => {
  const writer = new PcapngWriter("test");
  writer.addInterface({ linkType: linkType.RAW, name: "second" });
  writer.add(packetOf({ data: [9], seconds: 5 }));
  const first = bigEndian(words(), block(3, joined(words(1), words(0x07000000))));
  const { packets, error } = read(joined(first, writer.take()), 3);
  assert.equal(error, null);
  assert.deepEqual(
    packets.map((p) => [p.data, p.interfaceId, p.linkType]),
    [
      [[7], 0, linkType.EN10MB],
      [[9], 1, linkType.RAW],
    ],
  );
});

test("pcapng: times in other units and with an offset", () => {
  const packet = block(6, words(0, 0x5, 0x40000000, 0, 0));
  const time = (resolution: number, ...offset: number[]): number[] => {
    const options = joined(
      words(0x00090001, resolution << 24),
      offset.length > 0 ? words(0x000e0008, ...offset) : words(),
    );
    const { packets, error } = read(bigEndian(options, packet));
    assert.equal(error, null);
    return [packets[0]!.seconds, packets[0]!.nanos];
  };
  // 0x5_4000_0000 units = 22,548,578,304
  assert.deepEqual(time(0), [22_548_578_304, 0]);
  assert.deepEqual(time(3), [22_548_578, 304_000_000]);
  assert.deepEqual(time(9), [22, 548_578_304]);
  assert.deepEqual(time(12), [0, 22_548_578]);
  assert.deepEqual(time(0x80 | 32), [5, 250_000_000]);
  assert.deepEqual(time(0x80 | 64), [0, 1]);
  assert.deepEqual(time(9, 0, 100), [122, 548_578_304]);
  assert.deepEqual(time(9, 0xffffffff, 0xffffffff), [21, 548_578_304]);
});

test("pcapng: broken blocks are errors with their place and what was expected", () => {
  const good = bigEndian(words());
  const error = (...blocks: Bytes[]): CaptureError => read(joined(good, ...blocks)).error!;
  const after = good.length;
  assert.equal(error(words(6, 13, 0)).atByte, after + 4);
  assert.match(error(words(6, 13, 0)).message, /a multiple of 4, got 13/);
  assert.match(error(words(6, 16, 0, 20)).message, /length 16 again, got 20/);
  assert.match(error(block(6, words(0))).message, /enhanced packet of at least 20 bytes, got 4/);
  assert.match(error(block(6, words(3, 0, 0, 0, 0))).message, /1 interfaces, got number 3/);
  assert.match(error(block(6, words(0, 0, 0, 8, 8, 1))).message, /at most 4 bytes, got 8/);
  assert.match(error(words(6, 400, 0)).message, /cut short: expected a block of 400 bytes, got 12/);
  assert.match(error(words(0x0a0d0d0a, 28, 0)).message, /byte-order magic/);
});

test("a pcap file written and read is the same", () => {
  for (const resolution of ["us", "ns"] as const) {
    const writer = new PcapWriter({ linkType: linkType.EN10MB, resolution });
    writer.add(packetOf({ data: [1, 2], seconds: 0xfffffffe, nanos: 999_999_000 }));
    const { packets, error } = read(writer.take(), 11);
    assert.equal(error, null);
    assert.deepEqual([packets[0]?.seconds, packets[0]?.nanos], [0xfffffffe, 999_999_000]);
    assert.deepEqual(packets[0]?.data, [1, 2]);
  }
});

const anyPacket = fc.record({
  seconds: fc.nat(0xffffffff),
  nanos: fc.nat(999_999_999),
  extraBytes: fc.nat(2000),
  direction: fc.nat(2),
  comment: fc.string({ unit: "grapheme" }),
  data: fc.array(fc.nat(255), { maxLength: 60 }),
});

test("read after write gives the packets back, in chunks of any size", () => {
  const format = fc.constantFrom("pcap", "pcapng");
  fc.assert(
    fc.property(fc.array(anyPacket), format, fc.integer({ min: 1, max: 200 }), (list, kind, n) => {
      const isPcapng = kind === "pcapng";
      const pcapng = new PcapngWriter("test");
      pcapng.addInterface({ linkType: linkType.EN10MB });
      const writer = isPcapng ? pcapng : new PcapWriter({ linkType: linkType.EN10MB });
      const wanted = list.map(({ extraBytes, ...p }) => ({
        ...p,
        direction: isPcapng ? p.direction : 0,
        comment: isPcapng ? p.comment : "",
        lengthBytes: p.data.length + extraBytes,
        interfaceId: 0,
        linkType: linkType.EN10MB,
      }));
      for (const p of wanted) writer.add(packetOf(p));
      const { packets, error } = read(writer.take(), n);
      assert.equal(error, null);
      assert.deepEqual(packets, wanted);
    }),
    { numRuns: 60 },
  );
});

test("no damage to a file is an exception, and packets before it are the same", () => {
  const files = [vector("tcpdump/vsock-1.pcapng"), vector("arkime/bigendian.pcap")];
  const whole = files.map((file) => read(file).packets);
  const damage = fc.record({ file: fc.nat(1), at: fc.double({ min: 0, max: 0.999, noNaN: true }) });
  fc.assert(
    fc.property(damage, fc.nat(255), fc.boolean(), ({ file, at }, value, cut) => {
      const place = Math.floor(at * files[file]!.length);
      const bytes = Uint8Array.from(cut ? files[file]!.subarray(0, place) : files[file]!);
      if (!cut) bytes[place] = value;
      const { packets } = read(bytes);
      if (cut) assert.deepEqual(packets, whole[file]!.slice(0, packets.length));
    }),
    { numRuns: 300 },
  );
});

test("random bytes after a good beginning are never an exception", () => {
  const starts = [words(0xa1b2c3d4, 0x00020004, 0, 0, 65535, 1), bigEndian(words()), words()];
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 300 }), (start, rest) => {
      read(joined(start, rest), 50);
    }),
    { numRuns: 300 },
  );
});
