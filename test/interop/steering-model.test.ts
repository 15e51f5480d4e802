/**
 * The steering program in this kernel against a model of it: every frame is steered as the model says,
 * for the reason that it says, under claims that come and go. `MILLRACE_SEED` repeats a run.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { ANY4, ANY6, type IpAddress } from "../../src/base/ip-address.js";
import { Random } from "../../src/base/random.js";
import { CaptureReader } from "../../src/wire/capture-reader.js";
import { enterNamespace, ip, needsRoot } from "../support/namespace.js";
import { seed } from "../support/property.js";
import {
  ADDRESSES_4,
  ADDRESSES_6,
  damage,
  FrameMaker,
  PORTS,
  PROTOCOLS,
  pick,
} from "../support/steering-frames.js";
import { SteeringRun } from "../support/steering-run.js";

await enterNamespace(import.meta.url);
const options = { skip: needsRoot() };

/** Connections that the kernel has among these addresses and ports: both ends are its own. */
const kernelFlows: (readonly [IpAddress, number, IpAddress, number])[] = [];
const sockets: Socket[] = [];

before(async () => {
  if (needsRoot() !== false) return;
  for (const family of [ADDRESSES_4, ADDRESSES_6]) {
    const [server, ...clients] = family.slice(0, 3);
    for (const address of family.slice(0, 3)) {
      const nodad = address.isV4 ? [] : ["nodad"];
      ip("address", "add", `${address}/${address.isV4 ? 32 : 128}`, "dev", "lo", ...nodad);
    }
    for (const port of [80, 443]) await connectAll(server!, port, clients);
  }
});
after(() => {
  for (const socket of sockets) socket.destroy();
});

/** From every port of the clients' to the server's, whose listener stays, too. */
async function connectAll(
  server: IpAddress,
  port: number,
  clients: readonly IpAddress[],
): Promise<void> {
  const listener = createServer((socket) => sockets.push(socket)).listen(port, `${server}`);
  listener.unref();
  await once(listener, "listening");
  for (const client of clients) {
    for (const clientPort of PORTS) {
      const localAddress = `${client}`;
      const socket = connect({ host: `${server}`, port, localAddress, localPort: clientPort });
      await once(socket, "connect");
      sockets.push(socket);
      kernelFlows.push([server, port, client, clientPort], [client, clientPort, server, port]);
    }
  }
}

/** Runs a frame and compares; the frame must be left as it was. */
function compare(run: SteeringRun, frame: Uint8Array): boolean {
  const expected = run.expected(frame);
  const { verdict, lengthBytes } = run.run(frame);
  const said = `seed ${seed}: ${Buffer.from(frame).toString("hex")} (${expected.reason})`;
  if ((verdict === 4) !== expected.isTaken) assert.fail(`verdict ${verdict} for ${said}`);
  if (Buffer.compare(run.left(lengthBytes), frame) !== 0) assert.fail(`changed: ${said}`);
  return expected.isTaken;
}

function assertCounted(run: SteeringRun): void {
  const counted = run.counters.snapshot();
  for (const [reason, count] of Object.entries(counted)) {
    const expected = run.model.totals.get(reason as keyof typeof counted) ?? 0;
    assert.equal(count, expected, `seed ${seed}: ${reason}`);
  }
}

const CLAIMED_6 = ADDRESSES_6.filter((address) => !address.isV4);

/** Makes or takes back a claim, or changes the host's addresses. */
function changeClaims(run: SteeringRun, random: Random): void {
  const family = random.chance(0.5) ? ADDRESSES_4 : CLAIMED_6;
  const local = random.chance(0.7) ? pick(random, family) : family === ADDRESSES_4 ? ANY4 : ANY6;
  const remote = pick(random, family);
  const [port, remotePort] = [pick(random, PORTS), pick(random, PORTS)];
  const protocol = pick(random, PROTOCOLS);
  const isGroup = local.isMulticast && random.chance(0.5);
  const claimsPort = random.chance(0.3);
  if (random.chance(0.05)) {
    const some = [...ADDRESSES_4, ...CLAIMED_6].filter(() => random.chance(0.6));
    run.setLocalAddresses(random.chance(0.5) ? null : some);
  } else if (claimsPort || isGroup) {
    const claimed = isGroup ? 0 : port;
    // As many removals as additions: the model has no counts.
    run.releasePort(protocol, local, claimed);
    if (random.chance(0.4)) assert.equal(run.claimPort(protocol, local, claimed), 0);
  } else {
    run.releaseFlow(protocol, local, port, remote, remotePort);
    if (random.chance(0.6)) {
      assert.equal(run.claimFlow(protocol, local, port, remote, remotePort), 0);
    }
  }
}

const FRAMES = 60_000;

for (const vlan of [[], [5], [5, 6]]) {
  test(`${FRAMES} random frames, steered with tags [${vlan}], as the model says`, options, () => {
    const random = new Random(seed);
    const run = new SteeringRun(vlan);
    for (const ends of kernelFlows) run.kernelHas(...ends);
    const maker = new FrameMaker(random);
    let taken = 0;
    for (let i = 0; i < FRAMES; i++) {
      if (i % 10 === 0) changeClaims(run, random);
      if (compare(run, maker.make(vlan))) taken++;
    }
    assertCounted(run);
    // The comparison means something: much of either, and every reason.
    assert.ok(taken > FRAMES / 20 && taken < FRAMES / 2, `${taken} taken of ${FRAMES}`);
    for (const [reason, count] of Object.entries(run.counters.snapshot())) {
      if (reason !== "noSocket") assert.ok(count > 20, `${reason} ${count}`);
    }
    run.close();
  });
}

const CAPTURES = new URL("../../../test/vectors/captures/", import.meta.url);
const ETHERNET = 1;
/** What a test run takes. */
const MAX_FRAME_BYTES = 3000;

/** Every Ethernet frame of the committed captures. */
function capturedFrames(): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const entry of readdirSync(CAPTURES, { recursive: true })) {
    const file = String(entry);
    if (!/\.pcap(ng)?$/.test(file)) continue;
    const reader = new CaptureReader();
    reader.push(readFileSync(new URL(file, CAPTURES)));
    reader.end();
    while (reader.next()) {
      const { bytes, at, end, linkType } = reader.packet;
      if (linkType !== ETHERNET || end - at < 14 || end - at > MAX_FRAME_BYTES) continue;
      frames.push(bytes.slice(at, end));
    }
  }
  return frames;
}

/** Claims half of what the frames are about, as the receiver and as a sender of what is quoted. */
function claimSome(run: SteeringRun, frames: readonly Uint8Array[], random: Random): number {
  let claims = 0;
  for (const frame of frames) {
    const seen = run.model.endsOf(frame);
    if (seen === null || random.chance(0.5)) continue;
    const { protocol, local, localPort, remote, remotePort } = seen;
    if (random.chance(0.5)) run.claimFlow(protocol, local, localPort, remote, remotePort);
    else run.claimPort(protocol, local, localPort);
    claims++;
  }
  return claims;
}

test("real frames, and damaged copies of them, are steered as the model says", options, () => {
  const random = new Random(seed);
  const frames = capturedFrames();
  const run = new SteeringRun();
  for (const ends of kernelFlows) run.kernelHas(...ends);
  const claims = claimSome(run, frames, random);
  let taken = 0;
  for (let round = 0; round < 20; round++) {
    for (const frame of frames) {
      if (compare(run, round === 0 ? frame : damage(frame, random))) taken++;
    }
  }
  assertCounted(run);
  assert.ok(claims > 100 && taken > 1000, `${claims} claims, ${taken} taken`);
  run.close();
});

test(
  "a claimed frame at a queue without a socket goes to the kernel, and is counted",
  options,
  () => {
    const run = new SteeringRun([], false);
    for (const ends of kernelFlows) run.kernelHas(...ends);
    for (const address of [ANY4, ANY6]) {
      for (const protocol of PROTOCOLS) {
        for (const port of PORTS) run.claimPort(protocol, address, port);
      }
    }
    const maker = new FrameMaker(new Random(seed));
    let wouldBeTaken = 0;
    for (let i = 0; i < 1000; i++) {
      const frame = maker.make([]);
      if (run.expected(frame).isTaken) wouldBeTaken++;
      assert.equal(run.run(frame).verdict, 2);
    }
    assert.ok(wouldBeTaken > 50);
    assert.equal(run.counters.get("noSocket"), wouldBeTaken);
    run.close();
  },
);
