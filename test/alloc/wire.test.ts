/** The data path's parsing and writing allocate nothing: at most two collections in 2 million packets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Drop,
  ethernet,
  ipProtocol,
  ipv4,
  ipv6,
  ipv6Extensions,
  pseudoHeader,
  tcp,
  tcpOptions,
  udp,
} from "../../src/wire/index.js";
import { frame } from "../vectors/frames.js";
import { collections, fewestCollections } from "./collections.js";

const PACKETS = 2_000_000;

const options = new tcpOptions.TcpOptions();

/** Adds up a few fields, so that nothing is optimised away. */
function receive4(b: Uint8Array): number {
  if (ethernet.check(b, 0, b.length) !== Drop.NONE) return -1;
  const at = ethernet.payloadAtOut;
  if (ipv4.check(b, at, b.length) !== Drop.NONE || !ipv4.checksumIsValid(b, at)) return -1;
  const p = ipv4.payloadAt(b, at);
  const end = ipv4.endOf(b, at);
  const sum = pseudoHeader.sum4(b, at, ipv4.protocol(b, at), end - p);
  if (ipv4.protocol(b, at) === ipProtocol.UDP) {
    if (udp.check(b, p, end) !== Drop.NONE || !udp.checksumIsValid(b, p, sum)) return -1;
    return udp.srcPort(b, p) + udp.dstPort(b, p);
  }
  if (tcp.check(b, p, end) !== Drop.NONE || !tcp.checksumIsValid(b, p, end, sum)) return -1;
  tcpOptions.parse(b, p, options);
  return (tcp.seq(b, p) ^ tcp.ack(b, p) ^ options.tsVal) & 0xffff;
}

function receive6(b: Uint8Array): number {
  const at = 14;
  if (ipv6.check(b, at, b.length) !== Drop.NONE) return -1;
  const end = ipv6.endOf(b, at);
  if (ipv6Extensions.walk(b, at, end) !== Drop.NONE) return -1;
  const p = ipv6Extensions.payloadAtOut;
  const sum = pseudoHeader.sum6(b, at, ipv6Extensions.protocolOut, end - p);
  if (tcp.check(b, p, end) !== Drop.NONE || !tcp.checksumIsValid(b, p, end, sum)) return -1;
  return tcp.window(b, p);
}

test("the count sees collections", async () => {
  const kept: unknown[] = [];
  const n = await collections(() => {
    for (let i = 0; i < PACKETS; i++) kept[i & 1023] = { i };
  });
  assert.ok(n > 2, `${n} collections`);
});

test("receiving TCP and UDP over IPv4 allocates nothing", async () => {
  const frames = [frame("finTimestamps"), frame("sack"), frame("udp"), frame("syn")];
  let bad = 0;
  const n = await fewestCollections(() => {
    for (let i = 0; i < PACKETS; i++) if (receive4(frames[i & 3]!) < 0) bad++;
  }, 2);
  assert.equal(bad, 0);
  assert.ok(n <= 2, `${n} collections`);
});

test("receiving TCP over IPv6, extension headers included, allocates nothing", async () => {
  const frames = [frame("tcp6"), frame("destinationOptions")];
  let bad = 0;
  const n = await fewestCollections(() => {
    for (let i = 0; i < PACKETS; i++) if (receive6(frames[i & 1]!) < 0) bad++;
  }, 2);
  assert.equal(bad, 0);
  assert.ok(n <= 2, `${n} collections`);
});

test("writing TCP segments and UDP datagrams allocates nothing", async () => {
  const b = new Uint8Array(128);
  const n = await fewestCollections(() => {
    for (let i = 0; i < PACKETS; i++) {
      ipv4.write(b, 0, 52, ipProtocol.TCP, -i, i);
      ipv4.fillChecksum(b, 0);
      tcp.writePorts(b, 20, 1, 2);
      tcp.writeNumbers(b, 20, -i, i);
      tcp.writeControl(b, 20, 32, tcp.ACK, 1000);
      tcpOptions.putTimestamps(b, 40, i, -i);
      tcp.fillChecksum(b, 20, 52, pseudoHeader.sum4(b, 0, ipProtocol.TCP, 32));
      udp.write(b, 64, 1, 2, 8);
      udp.fillChecksum(b, 64, pseudoHeader.sum4(b, 0, ipProtocol.UDP, 16));
    }
  }, 2);
  assert.ok(n <= 2, `${n} collections`);
});
