/**
 * Frames one way through the memif driver alone, no stack: what testpmd's `txonly` and `rxonly` do.
 * The sender writes the headers of every frame anew, as `txonly` does.
 *
 *     memif-frames.js send client|server PATH BYTES            until killed
 *     memif-frames.js sink client|server PATH MILLISECONDS     prints one JSON line
 */
import { monotonicUs } from "../../src/nic/clock.js";
import { openMemif } from "../../src/nic/memif.js";
import { BATCH_FRAMES, Batch } from "../../src/ring/batch.js";
import { NO_SLOT } from "../../src/ring/pool.js";
import { createPool } from "../../src/socket/create-host.js";
import * as ethernet from "../../src/wire/ethernet.js";
import * as ipv4 from "../../src/wire/ipv4.js";

const [task, role, path, last] = process.argv.slice(2) as string[];
const WARM_UP_US = 500_000;
/** Turns that share one reading of the clock. */
const TURNS_A_READING = 16;
/** The IP header is 4-byte aligned behind it, and so whole words of frame and template match. */
const FRAME_AT = 130;
const HEADERS_BYTES = 42;

const pool = createPool({ smallSlots: 4_096, bigSlots: 64 });
const device = openMemif(pool, { path: path!, role: role as "client" | "server" });
const batch = new Batch();
let nowUs = monotonicUs();
process.stdout.write("ready\n");

function untilUp(): void {
  while (!device.isUp) {
    nowUs = monotonicUs();
    batch.n = 0;
    device.receive(nowUs, batch);
    for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
  }
  batch.n = 0;
}

function send(bytes: number): never {
  makeTemplate(bytes);
  for (let turns = 0; ; turns++) {
    if ((turns & (TURNS_A_READING - 1)) === 0) nowUs = monotonicUs();
    fill(bytes);
    batch.drop(device.transmit(nowUs, batch));
    device.flush(nowUs);
  }
}

/** Completes the batch with new frames. */
function fill(bytes: number): void {
  while (batch.n < BATCH_FRAMES) {
    const slot = pool.take();
    if (slot === NO_SLOT) return;
    const at = pool.base(slot) + FRAME_AT;
    pool.at[slot] = at;
    pool.end[slot] = at + bytes;
    pool.flags[slot] = 0;
    writeHeaders(at >>> 1);
    batch.put(slot);
  }
}

const halves = new Uint16Array(pool.bytes.buffer);
const words = new Int32Array(pool.bytes.buffer);

const template = new Uint8Array(HEADERS_BYTES);
const templateWords = new Int32Array(HEADERS_BYTES >> 2);

/** The frame starts in the middle of a word: whole words follow. */
function writeHeaders(at: number): void {
  halves[at] = template[0]! | (template[1]! << 8);
  const w = (at + 1) >>> 1;
  for (let i = 0; i < templateWords.length; i++) words[w + i] = templateWords[i]!;
}

/** The headers of a datagram that fills the frame. */
function makeTemplate(bytes: number): void {
  const to = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const view = new DataView(template.buffer);
  const l3 = ethernet.HEADER_BYTES;
  const l4 = l3 + ipv4.HEADER_BYTES;
  ethernet.write(template, 0, to, device.mac, ethernet.TYPE_IPV4);
  ipv4.write(template, l3, bytes - l3, 17, 0x0a4d0201, 0x0a4d0202);
  ipv4.fillChecksum(template, l3);
  view.setUint32(l4, 0x00090009);
  view.setUint16(l4 + 4, bytes - l4);
  templateWords.set(new Int32Array(template.buffer.slice(2)));
}

/** Counts and gives back. Time runs from a while after the first frame on. */
function sink(durationUs: number): void {
  let frames = 0;
  let startUs = 0;
  let countFromUs = 0;
  for (let turns = 0; ; turns++) {
    if ((turns & (TURNS_A_READING - 1)) === 0) {
      nowUs = monotonicUs();
      if (startUs === 0 && frames > 0) startUs = nowUs;
      if (countFromUs === 0 && startUs > 0 && nowUs - startUs > WARM_UP_US) {
        countFromUs = nowUs;
        frames = 0;
      }
      if (countFromUs > 0 && nowUs - countFromUs > durationUs) break;
    }
    batch.n = 0;
    device.receive(nowUs, batch);
    for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
    frames += batch.n;
  }
  console.log(JSON.stringify({ frames_per_s: Math.round((frames / (nowUs - countFromUs)) * 1e6) }));
  process.exit(0);
}

setTimeout(() => {
  if (task === "sink") return sink(Number(last) * 1e3);
  untilUp();
  return send(Number(last));
}, 200);
