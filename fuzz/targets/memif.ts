/**
 * memif, from a hostile peer: control messages, and the memory of the rings at both ends. The first
 * byte chooses: a message; a server's rings; a client's rings; express rings of either. For rings the input is a program, read
 * in steps of 4 bytes: which word of the shared memory gets which value, and when the other end looks.
 * At the end every slot must be free.
 */
import { decode, encode } from "../../src/nic/memif-message.js";
import {
  clientRig,
  type ExpressRig,
  expressClientRig,
  expressServerRig,
  type QueueRig,
  serverRig,
} from "../../src/nic/memif-queue-fixture.js";
import { Batch } from "../../src/ring/batch.js";
import { HEADROOM_BYTES, NO_SLOT, type Pool } from "../../src/ring/pool.js";
import { mustEqual, type Target } from "../target.js";

export const target: Target = {
  name: "memif",
  summary: "memif control messages, rings and descriptors from a hostile peer",
  maxBytes: 600,
  run(input) {
    const rest = input.subarray(1);
    switch ((input[0] ?? 0) % 5) {
      case 0:
        return messageShape(rest);
      case 1:
        return `server ${ringShape(serverRig(), rest)}`;
      case 2:
        return `client ${ringShape(clientRig(), rest)}`;
      case 3:
        return `express server ${expressShape(expressServerRig(), rest)}`;
      default:
        return `express client ${expressShape(expressClientRig(), rest)}`;
    }
  },
};

function messageShape(rest: Uint8Array): string {
  const b = new Uint8Array(128);
  b.set(rest.subarray(0, 128));
  const message = decode(b);
  if (message === null) return "no message";
  const once = encode(message);
  mustEqual("a written message changes", JSON.stringify(decode(once)), again(once));
  return `message ${message.type} ${"features" in message ? message.features & 1 : ""}`;
}

const again = (b: Uint8Array): string => JSON.stringify(decode(encode(decode(b)!)));

function ringShape(rig: QueueRig, program: Uint8Array): string {
  const { queue, rx, pool } = rig;
  const places = [...rig.sharedWords()];
  const batch = new Batch();
  let frames = 0;
  for (let at = 0; at + 4 <= program.length; at += 4) {
    const [op = 0, a = 0, b = 0, c = 0] = program.subarray(at, at + 4);
    switch (op & 7) {
      case 0: // any word of the rings
        rx.words[places[(a | (b << 8)) % places.length]!] = (c << 24) >> 24;
        break;
      case 1: // flags and region of a descriptor
        rx.words[descriptor(rig, a)] = (b & 1) | ((b & 2) << 14) | ((c & 0x83) << 16);
        break;
      case 2: // its length
        rx.words[descriptor(rig, a) + 1] = ((c << 24) >> 16) | b;
        break;
      case 3: // its offset
        rx.words[descriptor(rig, a) + 2] = ((c << 24) >> 16) | b;
        break;
      case 4: // its metadata
        rx.words[descriptor(rig, a) + 3] = (a << 24) | (b << 8) | c;
        break;
      case 5:
        rig.publish(rig.published + (a & 0x1f) - (b === 255 ? 300 : 0));
        break;
      case 6:
        rig.publishTx(a | (b << 8));
        break;
      default:
        batch.n = 0;
        for (let i = 0; i < (a & 7); i++) putFrame(rig, batch, 14 + ((b << 8) | c));
        batch.drop(queue.transmit(batch, 0, batch.n));
        for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
    }
    batch.n = 0;
    queue.receive(at, batch);
    frames += batch.n;
    for (let i = 0; i < batch.n; i++) checkFrame(rig, batch.slots[i]!);
  }
  const shape = `${Math.min(frames, 3)} ${queue.isBroken} ${rig.counters.values.map((n) => Math.min(n, 2)).join("")}`;
  queue.close();
  const all = pool.smallSlots + pool.bigSlots;
  mustEqual("a slot is lost", `${pool.freeSmall + pool.freeBig}`, `${all}`);
  return shape;
}

function expressShape(rig: ExpressRig, program: Uint8Array): string {
  const { queue, rx, pool } = rig;
  const places = [...rig.sharedWords()];
  const batch = new Batch();
  let n = 0;
  for (let at = 0; at + 4 <= program.length; at += 4) {
    const a = program[at + 1]!;
    const b = program[at + 2]!;
    const c = program[at + 3]!;
    const entry = rx.entryOf(n);
    switch (program[at]! & 7) {
      case 0: // any word of the rings
        rx.words[places[(a | (b << 8)) % places.length]!] = (c << 24) >> 24;
        break;
      case 1: // kind and length of the next entry
        rx.words[entry + 1] = (c << 24) | (a << 8) | b;
        break;
      case 2: // its metadata
        rx.words[entry + 2] = (a << 24) | (b << 8) | c;
        break;
      case 3: // its offset
        rx.words[entry + 3] = ((c << 24) >> 8) | (a << 8) | b;
        break;
      case 4: // it is there
        rx.words[entry] = n + 1;
        n++;
        break;
      case 5: // what we are said to have sent
        rig.tx.storeConsumed(((c << 24) >> 16) | a);
        break;
      default:
        batch.n = 0;
        for (let i = 0; i < (a & 7); i++) putFrame(rig, batch, 14 + ((b << 8) | c));
        batch.drop(queue.transmit(batch, 0, batch.n));
        for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
    }
    batch.n = 0;
    queue.receive(at, batch);
    for (let i = 0; i < batch.n; i++) checkFrame(rig, batch.slots[i]!);
  }
  const counts = rig.counters.values.map((count) => Math.min(count, 2)).join("");
  queue.close();
  mustEqual("a slot is lost", `${pool.freeSmall + pool.freeBig}`, `${pool.memory.slots}`);
  return `${Math.min(n, 3)} ${queue.isBroken} ${counts}`;
}

const descriptor = (rig: QueueRig, k: number): number => rig.rx.descriptors + 4 * (k & rig.rx.mask);

interface HasPool {
  readonly pool: Pool;
}

/** A frame to send, unless all big slots are in the rings. */
function putFrame({ pool }: HasPool, batch: Batch, lengthBytes: number): void {
  const slot = pool.takeBig();
  if (slot === NO_SLOT) return;
  pool.at[slot] = pool.base(slot) + HEADROOM_BYTES;
  pool.end[slot] = pool.at[slot]! + lengthBytes;
  pool.flags[slot] = 0;
  batch.put(slot);
}

/** A frame that is handed out lies in its slot, and so does its checksum. */
function checkFrame({ pool }: HasPool, slot: number): void {
  const at = pool.at[slot]!;
  const end = pool.end[slot]!;
  if (at < pool.base(slot) || end > pool.limit(slot) || end - at < 14) {
    throw new Error(`a frame of ${end - at} bytes at ${at - pool.base(slot)} of its slot`);
  }
  pool.give(slot);
}
