/** `millrace capture -i tap0`: what Linux sends to a TAP interface, printed and written. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace, ip, run } from "../support/namespace.js";

await enterNamespace(import.meta.url, "ip", "ping", "capinfos");

const PROGRAM = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "millrace-tap-"));
after(() => rmSync(scratch, { recursive: true }));

test("a ping into the interface: ARP requests, printed and written, until Ctrl-C", {
  timeout: 120_000,
}, async () => {
  const file = join(scratch, "tap.pcapng");
  ip("tuntap", "add", "tap0", "mode", "tap");
  ip("address", "add", "10.9.0.1/24", "dev", "tap0");
  ip("link", "set", "tap0", "up"); // else there is no route, and ping gives up
  const args = ["capture", "-i", "tap0", "-t", "-w", file, "--print", "arp"];
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let lines = "";
  let talk = "";
  child.stdout.on("data", (data: Buffer) => {
    lines += data.toString();
    child.kill("SIGINT");
  });
  child.stderr.on("data", (data: Buffer) => {
    talk += data.toString();
  });
  const ping = spawn("ping", ["-i", "0.2", "-c", "50", "10.9.0.2"], { stdio: "ignore" });
  const status = await new Promise((resolve) => child.on("close", resolve));
  ping.kill();
  assert.equal(status, 0, talk);
  assert.match(lines, /^ARP, Request who-has 10\.9\.0\.2 tell 10\.9\.0\.1, length 28\n/);
  assert.match(talk, /\d+ packets? captured\n/);
  const about = run("capinfos", "-M", file);
  assert.match(about, /Name = tap0/);
  assert.match(about, /Capture application: millrace capture/);
});
