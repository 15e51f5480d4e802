/** `millrace run` with an XDP program in front of its interface; Linux is at the far end. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { background, enterNamespace, ip } from "../../support/namespace.js";
import { RunWorld } from "../../support/run-world.js";
import { compileExample } from "../../support/xdp-objects.js";

await enterNamespace(import.meta.url, "ip", "ping", "nc", "clang");

const folder = mkdtempSync(join(tmpdir(), `millrace-program-${process.pid}-`));
after(() => rmSync(folder, { recursive: true }));
const object = join(folder, "acl.o");
const denied = join(folder, "denied.json");
writeFileSync(object, compileExample("acl", "v3"));
writeFileSync(
  denied,
  JSON.stringify([
    { key: { bits: 32, addr: [10, 8, 0, 7] }, value: { verdict: 1, unused: 0, hits: 0 } },
  ]),
);

async function pings(from: string): Promise<boolean> {
  const ping = background("ping", "-c", "1", "-n", "-W", "1", "-I", from, "10.8.0.2");
  return (await ping.ended) === 0;
}

test("an access list in front of tap0: who is on it gets no answer, and is counted", async () => {
  const world = RunWorld.open();
  ip("tuntap", "add", "tap0", "mode", "tap", "vnet_hdr");
  for (const host of ["1", "7"]) ip("address", "add", `10.8.0.${host}/24`, "dev", "tap0");
  ip("link", "set", "tap0", "up");
  const server = world.accelerated(
    ...["--nic", "tap0", "--address", "10.8.0.2/24"],
    ...["--xdp", `${object},engine=trace,map:sources4=${denied}`],
    ...["nc", "-l", "-p", "8100"],
  );
  await world.serves(8100, server);
  let answered = false;
  for (let n = 0; n < 20 && !answered; n++) answered = await pings("10.8.0.1");
  assert.ok(answered, "10.8.0.1 is answered");
  assert.equal(await pings("10.8.0.7"), false);
  const line = (await world.stat()).find((one) => one.kind === "interface" && one.name === "tap0");
  assert.ok(line?.kind === "interface");
  assert.ok(line.counters.xdpDrop! >= 1, JSON.stringify(line.counters));
  assert.ok(line.counters.xdpPass! >= 1);
  await world.end();
});

test("what is wrong with the program is said, and no engine runs", async () => {
  const world = RunWorld.open();
  const refused = async (words: string[], reason: RegExp, expected = 1): Promise<void> => {
    const { status, err } = await world.accelerated(...words, "true").ended;
    assert.equal(status, expected, err);
    assert.match(err, reason);
  };
  const nic = ["--nic", "tap1", "--address", "10.8.1.2/24"];
  await refused(
    [...nic, "--xdp", `${object},map:nothing=${denied}`],
    /acl\.o: there is no map nothing/,
  );
  await refused(
    [...nic, "--xdp", `${object},speed=9`],
    /expected program=NAME, engine=interp\|wasm\|trace/,
    2,
  );
  await world.end();
});
