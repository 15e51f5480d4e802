/** Two devices of one process, joined: what each role does with frames, and what it leaves behind. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { Arena } from "../ring/arena.js";
import { BATCH_FRAMES, Batch } from "../ring/batch.js";
import { FrameFlags, HEADROOM_BYTES, Pool, PoolMemory } from "../ring/pool.js";
import { closeFd } from "../sys/fd.js";
import { listenUnix } from "../sys/unix-socket.js";
import { Capability } from "./device.js";
import { type MemifDevice, type MemifOptions, openMemif } from "./memif.js";

const SIZE = { smallSlots: 1024, bigSlots: 128 };
const open: MemifDevice[] = [];
let nowUs = 0;

const path = (): string => `@millrace-test-${process.pid}-${randomBytes(4).toString("hex")}`;

function makePool(peerBytes = 64 << 20): Pool {
  return new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(SIZE) + peerBytes), SIZE));
}

function openOn(pool: Pool, options: MemifOptions): MemifDevice {
  const device = openMemif(pool, options);
  open.push(device);
  return device;
}

afterEach(() => {
  for (const device of open.splice(0)) device.close();
});

/** Lets both ends see to their sockets until `isDone`. */
function drive(isDone: () => boolean, ...devices: MemifDevice[]): void {
  const none = new Batch();
  for (let i = 0; i < 1000 && !isDone(); i++) {
    nowUs += 100_000;
    for (const device of devices) device.receive(nowUs, none);
  }
  assert.ok(isDone(), devices.map((d) => d.downReason).join("; "));
  assert.equal(none.n, 0);
}

interface Pair {
  readonly client: MemifDevice;
  readonly server: MemifDevice;
  readonly clientPool: Pool;
  readonly serverPool: Pool;
}

function connect(options: Partial<MemifOptions> = {}): Pair {
  const common = { path: path(), ...options };
  const clientPool = makePool();
  const serverPool = makePool();
  const server = openOn(serverPool, { ...common, role: "server" });
  const client = openOn(clientPool, { ...common, role: "client" });
  drive(() => client.isUp && server.isUp, client, server);
  return { client, server, clientPool, serverPool };
}

/** A frame of this length whose bytes depend on `seed`, in a slot of the pool. */
function frame(pool: Pool, lengthBytes: number, seed: number): number {
  const slot = lengthBytes + HEADROOM_BYTES <= 2048 ? pool.take() : pool.takeBig();
  const at = pool.base(slot) + HEADROOM_BYTES - 34;
  pool.at[slot] = at;
  pool.end[slot] = at + lengthBytes;
  pool.flags[slot] = 0;
  for (let i = 0; i < lengthBytes; i++) pool.bytes[at + i] = (seed + i * 7) & 0xfe;
  return slot;
}

function check(pool: Pool, slot: number, lengthBytes: number, seed: number): void {
  const at = pool.at[slot]!;
  assert.equal(pool.end[slot]! - at, lengthBytes);
  for (let i = 0; i < lengthBytes; i++) {
    if (pool.bytes[at + i] !== ((seed + i * 7) & 0xfe)) assert.fail(`byte ${i} of ${lengthBytes}`);
  }
}

function send(device: MemifDevice, ...slots: number[]): number {
  const batch = new Batch();
  for (const slot of slots) batch.put(slot);
  const n = device.transmit(nowUs, batch);
  device.flush(nowUs);
  return n;
}

function receive(device: MemifDevice): number[] {
  const batch = new Batch();
  device.receive(nowUs, batch);
  return [...batch.slots.subarray(0, batch.n)];
}

const free = (pool: Pool): number => pool.freeSmall + pool.freeBig;

for (const way of ["client to server", "server to client"] as const) {
  const ends = (p: Pair) =>
    way === "client to server"
      ? { from: p.client, fromPool: p.clientPool, to: p.server, toPool: p.serverPool }
      : { from: p.server, fromPool: p.serverPool, to: p.client, toPool: p.clientPool };

  test(`${way}: frames of every length arrive as they were sent, round the ring many times`, () => {
    const { from, fromPool, to, toPool } = ends(connect({ ringSize: 64 }));
    for (let lengthBytes = 14; lengthBytes <= 1700; lengthBytes += 3) {
      assert.equal(send(from, frame(fromPool, lengthBytes, lengthBytes)), 1);
      const [slot, ...more] = receive(to);
      assert.equal(more.length, 0);
      check(toPool, slot!, lengthBytes, lengthBytes);
      toPool.give(slot!);
    }
    assert.equal(to.counters.get("rxErrors"), 0);
  });

  test(`${way}: a full ring refuses what it cannot hold, and nothing is lost`, () => {
    const { from, fromPool, to, toPool } = ends(connect({ ringSize: 32 }));
    let sent = 0;
    let received = 0;
    for (let round = 0; round < 50; round++) {
      const slots = Array.from({ length: BATCH_FRAMES }, (_, i) => frame(fromPool, 60, sent + i));
      const n = send(from, ...slots);
      assert.ok(n <= 32);
      for (const slot of slots.slice(n)) fromPool.give(slot);
      sent += n;
      for (const slot of receive(to)) {
        check(toPool, slot, 60, received++);
        toPool.give(slot);
      }
    }
    assert.equal(received, sent);
    assert.ok(sent >= 50 * 16, `${sent}`);
  });

  test(`${way}: a frame that is written in place arrives as one that was transmitted`, () => {
    const { from, fromPool, to, toPool } = ends(connect({ ringSize: 32 }));
    let sent = 0;
    for (let round = 0; round < 40; round++) {
      const lengthBytes = 60 + round * 4;
      const lane = from.lane!;
      const at = lane.place(lengthBytes);
      assert.equal((at + 14) & 3, 0, "the IP header is aligned");
      for (let i = 0; i < lengthBytes; i++) fromPool.bytes[at + i] = (round + i * 7) & 0xfe;
      lane.sendPlaced(34, 16);
      assert.equal(send(from, frame(fromPool, 70, round)), 1);
      sent += 2;
      const [slot, next, ...more] = receive(to);
      assert.equal(more.length, 0);
      check(toPool, slot!, lengthBytes, round);
      check(toPool, next!, 70, round);
      assert.equal(toPool.flags[slot!], FrameFlags.CHECKSUM_PARTIAL);
      assert.equal(toPool.csumStart[slot!]! - toPool.at[slot!]!, 34);
      assert.equal(toPool.csumOffset[slot!], 16);
      toPool.give(slot!);
      toPool.give(next!);
    }
    assert.equal(from.counters.get("txFrames"), sent);
    assert.equal(to.counters.get("rxFrames"), sent);
    assert.equal(to.counters.get("rxErrors"), 0);
  });

  test(`${way}: there is no place in a full ring, nor for a long frame`, () => {
    const { from, to, toPool } = ends(connect({ ringSize: 32 }));
    assert.equal(from.lane!.place(300), -1);
    let sent = 0;
    for (; from.lane!.place(60) >= 0; sent++) from.lane!.sendPlaced(34, 16);
    assert.equal(sent, 32);
    const slots = receive(to);
    assert.equal(slots.length, 32);
    for (const slot of slots) toPool.give(slot);
    assert.ok(from.lane!.place(60) >= 0);
  });

  test(`${way}: large segments and unmade checksums pass as they are`, () => {
    const { from, fromPool, to, toPool } = ends(connect());
    for (const lengthBytes of [60, 1983, 2048, 9000, 65_549]) {
      const slot = frame(fromPool, lengthBytes, 3);
      fromPool.bytes[fromPool.at[slot]! + 34 + 12] = 0x50; // TCP header of 20 bytes
      fromPool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_TCP4;
      fromPool.csumStart[slot] = fromPool.at[slot]! + 34;
      fromPool.csumOffset[slot] = 16;
      fromPool.gsoBytes[slot] = 1460;
      assert.equal(send(from, slot), 1, `${lengthBytes}`);
      const [got] = receive(to);
      assert.ok(got !== undefined, `${lengthBytes} bytes`);
      assert.equal(toPool.end[got]! - toPool.at[got]!, lengthBytes);
      const isLarge = lengthBytes > 1514;
      const flags = FrameFlags.CHECKSUM_PARTIAL | (isLarge ? FrameFlags.GSO_TCP4 : 0);
      assert.equal(toPool.flags[got], flags);
      assert.equal(toPool.csumStart[got], toPool.at[got]! + 34);
      assert.equal(toPool.csumOffset[got], 16);
      assert.equal(toPool.gsoBytes[got], isLarge ? 1460 : 0);
      toPool.give(got);
    }
  });
}

test("only a link of one express ring has a lane, and only while it is up", () => {
  assert.equal(connect({ offload: false }).client.lane, null);
  assert.equal(connect({ queuePairs: 2 }).client.lane, null);
  const { client, server } = connect();
  assert.notEqual(client.lane, null);
  server.close();
  drive(() => !client.isUp, client);
  assert.equal(client.lane, null);
});

test("frames are the sender's to share, or to write past the caches, only where the peer reads them in place", () => {
  const { TX_BORROWS, TX_FAR } = Capability;
  const sharing = (device: MemifDevice): number => device.capabilities & (TX_BORROWS | TX_FAR);
  const plain = connect({ offload: false });
  assert.deepEqual([sharing(plain.client), sharing(plain.server)], [0, 0]);
  const { client, server } = connect();
  assert.deepEqual([sharing(client), sharing(server)], [TX_BORROWS | TX_FAR, TX_BORROWS]);
  const always = client.capabilities & ~(TX_BORROWS | TX_FAR);
  server.close();
  drive(() => !client.isUp, client);
  assert.equal(client.capabilities, always);
});

test("after both ends close, every slot is free and the link is down", () => {
  const { client, server, clientPool, serverPool } = connect();
  send(client, frame(clientPool, 60, 1), frame(clientPool, 60, 2));
  for (const slot of receive(server)) serverPool.give(slot);
  send(client, frame(clientPool, 60, 1));
  client.close();
  drive(() => !server.isUp, server);
  assert.equal(server.downReason, "the peer says: interface closed");
  server.close();
  for (const pool of [clientPool, serverPool]) {
    assert.equal(free(pool), SIZE.smallSlots + SIZE.bigSlots);
  }
  assert.equal(server.linkCounters.get("disconnects"), 1);
  assert.equal(server.linkCounters.get("lostFrames"), 1);
});

test("a peer without the extension gets plain frames", () => {
  const { client, server, clientPool, serverPool } = connect({ offload: false });
  assert.equal(client.isExtended, false);
  assert.equal(server.isExtended, false);
  send(client, frame(clientPool, 60, 5));
  const [slot] = receive(server);
  check(serverPool, slot!, 60, 5);
  serverPool.give(slot!);
});

test("a wrong secret is refused, and both ends say why", () => {
  const name = path();
  const server = openOn(makePool(), { path: name, role: "server", secret: "one" });
  const client = openOn(makePool(), { path: name, secret: "two" });
  drive(() => client.linkCounters.get("refusals") > 0, client, server);
  assert.equal(client.downReason, "the peer says: incorrect secret");
  assert.equal(server.downReason, "incorrect secret");
  assert.equal(client.isUp, false);
});

test("interfaces of one socket are told apart by their id", () => {
  const name = path();
  const servers = [7, 8].map((id) => openOn(makePool(), { path: name, role: "server", id }));
  const client = openOn(makePool(), { path: name, id: 8 });
  drive(() => client.isUp, client, ...servers);
  assert.deepEqual(
    servers.map((s) => s.isUp),
    [false, true],
  );
  assert.throws(() => openMemif(makePool(), { path: name, role: "server", id: 7 }), {
    code: "EBUSY",
  });
});

test("several queue pairs carry frames both ways", () => {
  const { client, server, clientPool, serverPool } = connect({ queuePairs: 3 });
  const lengths = Array.from({ length: 60 }, (_, i) => 60 + i);
  send(client, ...lengths.map((n) => frame(clientPool, n, n)));
  const got = receive(server);
  assert.equal(got.length, 60);
  for (const slot of got) {
    const n = serverPool.end[slot]! - serverPool.at[slot]!;
    check(serverPool, slot, n, n);
  }
  assert.equal(send(server, ...got), 60);
  const back = receive(client);
  assert.equal(back.length, 60);
  for (const slot of back) clientPool.give(slot);
});

test("links that come and go leave no descriptor and no mapping behind", () => {
  const [clientPool, serverPool] = [makePool(), makePool()];
  const resources = (): number[] => [
    readdirSync("/proc/self/fd").length,
    readFileSync("/proc/self/maps", "utf8").split("memfd:millrace").length,
    serverPool.memory.arena.freeBytes,
    clientPool.memory.arena.freeBytes,
  ];
  const name = path();
  const server = openOn(serverPool, { path: name, role: "server", queuePairs: 2 });
  let before: number[] = [];
  for (let life = 0; life < 50; life++) {
    const client = openMemif(clientPool, { path: name, queuePairs: 2 });
    drive(() => client.isUp && server.isUp, client, server);
    client.close();
    drive(() => !server.isUp, server);
    if (life === 0) before = resources();
  }
  const after = resources();
  // The pools of earlier tests go whenever they are collected, and their mappings with them.
  assert.ok(after[1]! <= before[1]!, `${after[1]} mappings, ${before[1]} before`);
  assert.deepEqual(after.toSpliced(1, 1), before.toSpliced(1, 1));
  assert.equal(server.linkCounters.get("connects"), 50);
});

test("a socket file that a dead server left is replaced; any other file is not", () => {
  const file = join(tmpdir(), `millrace-${process.pid}-${randomBytes(4).toString("hex")}`);
  closeFd(listenUnix({ path: file })); // as if its process had been killed
  assert.ok(existsSync(file));
  const server = openOn(makePool(), { path: file, role: "server" });
  const client = openOn(makePool(), { path: file });
  drive(() => client.isUp, client, server);
  server.close();
  assert.ok(!existsSync(file), "the server takes its file along");
  writeFileSync(file, "precious");
  assert.throws(() => openMemif(makePool(), { path: file, role: "server" }), {
    code: "EADDRINUSE",
  });
  assert.equal(readFileSync(file, "utf8"), "precious");
  rmSync(file);
});

test("a second server of a socket is refused while the first one lives", () => {
  const file = join(tmpdir(), `millrace-${process.pid}-${randomBytes(4).toString("hex")}`);
  const other = listenUnix({ path: file });
  assert.throws(() => openMemif(makePool(), { path: file, role: "server" }), {
    code: "EADDRINUSE",
    message: /another process listens there/,
  });
  closeFd(other);
  rmSync(file);
});

test("a client needs a pool that is shared or unused", () => {
  const pool = makePool();
  const slot = pool.take();
  assert.throws(() => openMemif(pool, { path: path() }), {
    code: "EBUSY",
    message: /createPool\(\{ shared: true \}\)/,
  });
  pool.give(slot);
  openOn(pool, { path: path() });
  pool.take();
  openOn(pool, { path: path() }); // shared by now
});

test("a client whose memory does not fit is refused, and both ends say why", () => {
  const name = path();
  const server = openOn(makePool(1 << 20), { path: name, role: "server" });
  const client = openOn(makePool(), { path: name });
  drive(() => client.linkCounters.get("refusals") > 0, client, server);
  assert.match(server.downReason, /does not fit.*peerBytes/);
  assert.match(client.downReason, /the peer says: memif ENOMEM/);
});

test("options that cannot be are mistakes of the caller", () => {
  const pool = makePool();
  for (const wrong of [
    { ringSize: 1000 },
    { ringSize: 1 },
    { ringSize: 32_768 },
    { queuePairs: 0 },
    { id: -1 },
    { mtuBytes: 10 },
    { secret: "x".repeat(25) },
    { mac: Uint8Array.of(1, 2, 3, 4, 5, 6) },
  ]) {
    assert.throws(() => openMemif(pool, { path: path(), ...wrong }), RangeError);
  }
});
