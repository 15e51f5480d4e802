/**
 * Frames one way through the AF_XDP driver alone, no stack: what bench/native/xdp-frames.c does.
 *
 *     xdp-frames.js send INTERFACE generic|native MAC BYTES            until killed
 *     xdp-frames.js sink INTERFACE generic|native BYTES MILLISECONDS   prints one JSON line
 */
import { copyWithin } from "../../src/base/bytes.js";
import { monotonicUs } from "../../src/nic/clock.js";
import { openXdp } from "../../src/nic/xdp.js";
import { Batch } from "../../src/ring/batch.js";
import { HEADROOM_BYTES, NO_SLOT } from "../../src/ring/pool.js";
import { createPool } from "../../src/socket/create-host.js";
import * as ethernet from "../../src/wire/ethernet.js";
import * as ipv4 from "../../src/wire/ipv4.js";

const [role, name, mode, third, fourth] = process.argv.slice(2) as string[];
const HEADERS_BYTES = 42;
const BATCH = 32;
const pool = createPool({ smallSlots: 4_096, bigSlots: 64 });
const device = openXdp(pool, { interface: name!, mode: mode as "generic" | "native" });
const batch = new Batch();
const b = pool.bytes;
process.stdout.write("ready\n");

/** Writes every frame anew, as a sender of datagrams does. */
function send(to: Uint8Array, bytes: number): never {
  const payload = pool.base(pool.takeBig());
  b.fill(0x5a, payload, payload + bytes);
  for (;;) {
    const nowUs = monotonicUs();
    while (batch.n < BATCH) {
      const slot = pool.take();
      if (slot === NO_SLOT) break;
      const at = pool.base(slot) + HEADROOM_BYTES;
      pool.at[slot] = at;
      pool.end[slot] = at + HEADERS_BYTES + bytes;
      pool.flags[slot] = 0;
      writeFrame(at, to, bytes);
      copyWithin(b, at + HEADERS_BYTES, payload, bytes);
      batch.put(slot);
    }
    batch.drop(device.transmit(nowUs, batch));
    device.flush(nowUs);
  }
}

function writeFrame(at: number, to: Uint8Array, bytes: number): void {
  ethernet.write(b, at, to, device.mac, ethernet.TYPE_IPV4);
  const l3 = at + ethernet.HEADER_BYTES;
  ipv4.write(b, l3, 28 + bytes, 17, 0x0a4d0201, 0x0a4d0202);
  ipv4.fillChecksum(b, l3);
  const l4 = l3 + ipv4.HEADER_BYTES;
  pool.view.setUint32(l4, 0x00090009);
  pool.view.setUint16(l4 + 4, 8 + bytes);
  pool.view.setUint16(l4 + 6, 0);
}

/** Reads every payload. Time runs from the first frame on. */
function sink(bytes: number, durationUs: number): void {
  const copyAt = pool.base(pool.takeBig());
  let n = 0;
  let startUs = 0;
  let nowUs = monotonicUs();
  while (startUs === 0 || nowUs - startUs < durationUs) {
    batch.n = 0;
    device.receive(nowUs, batch);
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      const at = pool.at[slot]!;
      if (pool.end[slot]! - at === HEADERS_BYTES + bytes) {
        copyWithin(b, copyAt, at + HEADERS_BYTES, bytes);
        n++;
      }
      pool.give(slot);
    }
    nowUs = monotonicUs();
    if (startUs > 0 || n === 0) continue;
    startUs = nowUs;
    n = 0;
  }
  console.log(JSON.stringify({ msgs_per_s: Math.round((n / (nowUs - startUs)) * 1e6) }));
  process.exit(0);
}

const run = (): void => {
  if (role === "sink") sink(Number(third), Number(fourth) * 1e3);
  else send(ethernet.parseAddress(third!), Number(fourth));
};
setTimeout(run, 50);
