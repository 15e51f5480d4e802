/**
 * A unit test of an XDP program: plain `node --test`, no privilege, no interface. It needs clang and
 * libbpf's headers (Debian: clang, libbpf-dev).
 *
 *     npm run build && node --test dist/examples/xdp/firewall.test.js
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type BpfObject, parseObject, XdpInstance, XdpVerdict } from "../../src/ebpf/index.js";

const firewall = compile("firewall");

function compile(name: string): BpfObject {
  const source = fileURLToPath(new URL(`../../../examples/xdp/${name}.c`, import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "xdp-"));
  const object = join(folder, `${name}.o`);
  const include = `-I/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
  try {
    execFileSync("clang", ["-O2", "-g", "-target", "bpf", include, "-c", source, "-o", object]);
    return parseObject(readFileSync(object));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An Ethernet frame with a UDP datagram, no data. */
function udp(saddr: string, sport: number, daddr: string, dport: number): Uint8Array {
  const frame = new Uint8Array(60);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x0800); // IPv4
  view.setUint8(14, 0x45);
  view.setUint16(16, 28);
  view.setUint8(22, 64);
  view.setUint8(23, 17); // UDP
  frame.set(saddr.split(".").map(Number), 26);
  frame.set(daddr.split(".").map(Number), 30);
  view.setUint16(34, sport);
  view.setUint16(36, dport);
  view.setUint16(38, 8);
  return frame;
}

/** A fresh one for each test: its maps are empty. */
let xdp: XdpInstance;
beforeEach(() => {
  xdp = XdpInstance.open(firewall);
});

test("a packet from outside is dropped when nobody asked for it", () => {
  const { verdict } = xdp.run(udp("192.0.2.1", 53, "10.0.0.7", 4000));
  assert.equal(verdict, XdpVerdict.DROP);
});

test("the answer to a packet from inside passes", () => {
  assert.equal(xdp.run(udp("10.0.0.7", 4000, "192.0.2.1", 53)).verdict, XdpVerdict.TX);
  assert.equal(xdp.run(udp("192.0.2.1", 53, "10.0.0.7", 4000)).verdict, XdpVerdict.PASS);
  assert.equal(xdp.run(udp("192.0.2.2", 53, "10.0.0.7", 4000)).verdict, XdpVerdict.DROP);
});

test("flows are counted in the map", () => {
  for (let n = 0; n < 3; n++) xdp.run(udp("10.0.0.7", 4000, "192.0.2.1", 53));
  const [flow] = xdp.map("flows").entries();
  assert.equal(new DataView(flow!.value.buffer).getBigUint64(0, true), 3n);
});

test("the network inside is what the constants say", () => {
  const constants = xdp.map(".rodata");
  const value = constants.get(new Uint8Array(4))!;
  value.set(Uint8Array.of(0, 0, 168, 192)); // inside = 192.168.0.0, in the host's byte order
  value.set(Uint8Array.of(0, 0, 255, 255), 4);
  constants.set(new Uint8Array(4), value);
  assert.equal(xdp.run(udp("192.168.1.1", 1, "192.0.2.1", 2)).verdict, XdpVerdict.TX);
});
