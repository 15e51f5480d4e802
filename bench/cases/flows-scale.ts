/**
 * What a packet costs with 10, 1,000 and 100,000 established connections, what an idle one weighs,
 * and what 100,000 leave behind when they are gone; prints one JSON line.
 *
 * Each turn brings ten segments of 64 bytes to ten different connections, drawn at random, which the
 * program reads through a `ReadySet`. `_full` is the same with turns of 64. Making the frames is not
 * timed, their copy into slots is.
 *
 * So that the work is the same at every number of connections, each connection lives the same life:
 * it hears of its peer every 10 ms of virtual time, and has heard 20 times before it is measured. A
 * fresh one, or one that has heard nothing for a while, acknowledges every segment, and ten that
 * share the 10 ms of 100,000 would never see a timer fire.
 */
import { IpAddress } from "../../src/base/ip-address.js";
import { Random } from "../../src/base/random.js";
import { ReadyEvents, ReadySet } from "../../src/socket/ready-set.js";
import type { TcpSocket } from "../../src/socket/tcp-socket.js";
import { Readiness } from "../../src/tcp/readiness.js";
import * as tcp from "../../src/wire/tcp.js";
import { L4_AT } from "../frames.js";
import { BATCH, NO_OPTIONS, type Peer, PORT, Rig, segment } from "../rig.js";

const COUNTS = [10, 1_000, 100_000];
const PER_TURN = 10;
const FRAMES_AHEAD = 3_000;
const PAYLOAD_BYTES = 64;
const PORTS_PER_CLIENT = 2_000;
const FIRST_PORT = 1_024;
const PIECES = 100;
/** Virtual time between two segments of a connection, on average. */
const PACE_US = 10_000;
/** Segments that a connection has seen before it is measured: more than it acknowledges at once. */
const SETTLING_SEGMENTS = 20;
const SETTLING_PER_TURN = 50;

const rig = new Rig();
const { pool, device, stack } = rig;
const listener = rig.listen(PORT);
const sockets: TcpSocket[] = [];
/** The peers' next sequence numbers and what they have received: no objects, they are not ours to weigh. */
const seqs = new Int32Array(100_000);
const acks = new Int32Array(100_000);
const set = new ReadySet();
const events = new ReadyEvents(BATCH);
const random = new Random(7);
const into = new Uint8Array(2_048);
const figures: Record<string, number> = {};

function peerOf(i: number): Peer {
  const address = IpAddress.v4(0x0a010001 + Math.floor(i / PORTS_PER_CLIENT));
  return { address, port: FIRST_PORT + (i % PORTS_PER_CLIENT), seq: seqs[i]!, ack: acks[i]! };
}

function establish(count: number): void {
  for (let i = sockets.length; i < count; i++) {
    const { address, port } = peerOf(i);
    const [socket, peer] = rig.establish(listener, address, port);
    set.add(socket, Readiness.IN);
    sockets.push(socket);
    seqs[i] = peer.seq;
    acks[i] = peer.ack;
  }
}

/** Frames of one turn, written before it is timed. */
const drawn = new Int32Array(BATCH);
function draw(count: number, perTurn: number): void {
  for (let i = 0; i < perTurn; i++) {
    let k = (random.int32() >>> 0) % count;
    while (drawn.subarray(0, i).includes(k)) k = (k + 1) % count;
    drawn[i] = k;
    stageFor(k);
  }
}

/** Makes the next segment of a connection. */
function stageFor(k: number): void {
  device.stageFrame(segment(peerOf(k), PORT, tcp.ACK, NO_OPTIONS, PAYLOAD_BYTES));
  seqs[k] = (seqs[k]! + PAYLOAD_BYTES) | 0;
}

/** Virtual time of a turn in which `n` of `count` connections hear of their peers. */
const turnUs = (n: number, count: number): number => Math.max(1, Math.round((PACE_US * n) / count));

/** Lets every connection hear of its peer until it acknowledges in its steady manner. */
function settle(count: number): void {
  device.queuedPerTurn = SETTLING_PER_TURN;
  for (let round = 0; round < SETTLING_SEGMENTS; round++) {
    for (let from = 0; from < count; from += SETTLING_PER_TURN) {
      const to = Math.min(from + SETTLING_PER_TURN, count);
      for (let k = from; k < to; k++) stageFor(k);
      serve(turnUs(to - from, count));
    }
  }
}

/** One turn of the server; returns how many segments were read. */
function serve(afterUs: number): number {
  rig.turn(afterUs);
  let read = 0;
  set.take(events);
  for (let i = 0; i < events.n; i++) {
    const n = (events.sockets[i] as TcpSocket).receive(into);
    if (n > 0) read += n / PAYLOAD_BYTES; // a turn may take frames of the next ones, too
  }
  return read;
}

/** Frames of many turns are written ahead, so that those turns are timed together. */
function nsPerPacket(count: number, perTurn = PER_TURN): number {
  const times: number[] = [];
  const turns = Math.floor(FRAMES_AHEAD / perTurn);
  const afterUs = turnUs(perTurn, count);
  device.queuedPerTurn = perTurn;
  for (let piece = 0; piece < PIECES; piece++) {
    for (let turn = 0; turn < turns; turn++) draw(count, perTurn);
    let read = 0;
    const start = process.cpuUsage();
    for (let turn = 0; turn < turns; turn++) read += serve(afterUs);
    const used = process.cpuUsage(start);
    const packets = turns * perTurn;
    if (read !== packets) throw new Error(`flows-scale: read ${read} of ${packets} segments`);
    times.push(((used.user + used.system) * 1e3) / packets);
  }
  return times.sort((a, b) => a - b)[PIECES >> 1]!;
}

/** JavaScript objects and typed arrays, room for growth included, whether touched yet or not. */
function allocatedBytes(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const m = process.memoryUsage();
  return m.heapUsed + m.external;
}

establish(COUNTS[0]!);
nsPerPacket(COUNTS[0]!); // compiled now
for (const count of COUNTS) {
  const before = allocatedBytes();
  const known = sockets.length;
  establish(count);
  figures.bytes_per_idle_connection = Math.round((allocatedBytes() - before) / (count - known));
  settle(count);
  figures[`ns_per_packet_${count}`] = nsPerPacket(count);
  if (count > BATCH) figures[`ns_per_packet_${count}_full`] = nsPerPacket(count, BATCH);
}
figures.growth = figures.ns_per_packet_100000! / figures.ns_per_packet_10!;

/** Ends every connection from both sides, and lets TIME-WAIT pass. */
function closeAll(): void {
  for (let i = 0; i < sockets.length; i++) {
    const peer = peerOf(i);
    device.keepFlags = tcp.FIN;
    sockets[i]!.close();
    rig.turn(1);
    peer.ack = (tcp.seq(device.last, L4_AT) + 1) | 0;
    device.keepFlags = 0;
    rig.inject(segment(peer, PORT, tcp.FIN | tcp.ACK, NO_OPTIONS, 0));
  }
  sockets.length = 0;
  for (let second = 0; second < 200; second++) rig.turn(1_000_000);
  set.take(events);
}

closeAll();
const once = allocatedBytes();
establish(COUNTS.at(-1)!);
closeAll();
figures.left_rows = stack.tcp.rows - 1; // the listener
figures.left_flows = stack.flows.size;
figures.left_timers = stack.wheel.armed;
const free = pool.freeSmall + pool.freeBig + device.stagingSlots;
figures.left_slots = device.slotsAtStart - free;
// Tables stay as large as they were: what a second 100,000 add is what each leaves behind.
figures.left_bytes_per_connection = Math.round((allocatedBytes() - once) / COUNTS.at(-1)!);
console.log(JSON.stringify(figures));
