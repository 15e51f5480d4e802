/** What the user of `millrace run --nic` reads when an interface cannot be had; the program does not start. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace, ip, needsRoot } from "../../support/namespace.js";
import { RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "ip", "setpriv");
const world = RunWorld.open();

/** Runs `touch` as a user (0: root) and returns what is said; it must not have run. */
function refused(uid: number, ...options: string[]): string {
  return refusedWith(1, uid, ...options);
}

function refusedWith(status: number, uid: number, ...options: string[]): string {
  const drop = uid === 0 ? [] : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
  const started = join(world.folder, "started");
  const env = { ...world.env, XDG_RUNTIME_DIR: join(world.folder, `${uid}`) };
  mkdirSync(env.XDG_RUNTIME_DIR, { recursive: true, mode: 0o700 });
  chownSync(env.XDG_RUNTIME_DIR, uid, uid);
  const words = [...drop, world.millrace, "run", ...options, "touch", started];
  const run = spawnSync(words[0]!, words.slice(1), { encoding: "utf8", env });
  assert.equal(existsSync(started), false, "the program was started");
  assert.equal(run.status, status, run.stderr);
  return run.stderr;
}

test("an interface that is not there, and words that are none", () => {
  for (const nic of ["nope0", "xdp:nope0", "packet:nope0"]) {
    assert.match(refused(0, "--nic", nic), /there is no interface nope0 in this network namespace/);
  }
  assert.match(
    refusedWith(2, 0, "--nic", "foo:bar"),
    /expected a device like tap:tap0, got "foo:bar"/,
  );
  assert.match(
    refusedWith(2, 0, "--nic", "tap:with/slash"),
    /expected an interface's name of up to 15/,
  );
  assert.match(refusedWith(2, 0, "--gateway", "10.0.0.1"), /expected --nic with it/);
});

test("addresses that do not fit the interface", { skip: needsRoot() }, () => {
  ip("link", "add", "one", "type", "veth", "peer", "name", "other");
  ip("link", "set", "one", "up");
  const owned = ["--nic", "packet:one"];
  const words = refusedWith(2, 0, ...owned, "--address", "10.300.0.2/24");
  assert.match(words, /expected a host's address like 10\.77\.0\.2, got 10\.300\.0\.2\/24/);
  const gateway = refusedWith(2, 0, ...owned, "--address", "10.5.0.2/24", "--gateway", "10.6.0.1");
  assert.match(gateway, /gateway 10\.6\.0\.1: expected one on the network of one of the addresses/);
  const shared = refusedWith(2, 0, "--nic", "one", "--address", "10.5.0.2/24");
  assert.match(shared, /its addresses are the kernel's \(ip address add … dev one\)/);
});

test("without the privilege: which one, and how to get it", { skip: needsRoot() }, () => {
  const nobody = 65_534;
  chmodSync(world.folder, 0o755);
  assert.match(refused(nobody, "--nic", "one"), /EPERM.*setcap cap_bpf,cap_net_admin,cap_net_raw/);
  assert.match(refused(nobody, "--nic", "packet:one"), /AF_PACKET needs CAP_NET_RAW/);
  assert.match(refused(nobody, "--nic", "tap0"), /needs CAP_NET_ADMIN.*ip tuntap add dev tap0/);
});
