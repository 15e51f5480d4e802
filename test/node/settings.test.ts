/** Settings of one's own: workers with devices of their own, and every word of `register({…})`. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace, ip } from "../support/namespace.js";
import { until } from "../support/until.js";
import { runCase } from "./support/run-case.js";

await enterNamespace(import.meta.url, "ip");

const REGISTER = new URL("../../bundle/node/register.js", import.meta.url).href;
const program = (name: string): string =>
  fileURLToPath(new URL(`programs/${name}.js`, import.meta.url));
/** Nobody is there: what matters is by whom it is asked. */
const FAR = "198.51.100.1";
const folder = mkdtempSync(join(tmpdir(), "millrace-settings-"));
after(() => rmSync(folder, { recursive: true }));

for (const n of [0, 1]) {
  ip("tuntap", "add", `mrset${n}`, "mode", "tap");
  ip("address", "add", `10.80.${n}.1/24`, "dev", `mrset${n}`);
  ip("link", "set", `mrset${n}`, "up");
}

/** Says who asks. */
async function server(): Promise<{ port: number; close(): void }> {
  const s = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.end(socket.remoteAddress!);
  });
  s.listen(0, "0.0.0.0");
  await once(s, "listening");
  return { port: (s.address() as net.AddressInfo).port, close: () => s.close() };
}

for (const how of ["cluster", "thread"]) {
  test(`a worker of a ${how} has a device of its own`, async () => {
    const { port, close } = await server();
    const own = ["MILLRACE_NIC=tap:mrset1", "MILLRACE_ADDRESS=10.80.1.2/24"];
    const args = [how, `${port}`, "10.80.0.1", "10.80.1.1", "10.80.1.2", ...own];
    const child = spawn(process.execPath, ["--import", REGISTER, program("own-device"), ...args], {
      env: { ...process.env, MILLRACE_NIC: "tap:mrset0", MILLRACE_ADDRESS: "10.80.0.2/24" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    after(() => void child.kill("SIGKILL"));
    let output = "";
    child.stdout.on("data", (d) => {
      output += d;
    });
    await until(() => output.split("\n").length > 2, "the program and its worker");
    const [main, worker] = output
      .split("\n", 2)
      .map((line) => JSON.parse(line) as { seen: string; port: number });
    assert.equal(main!.seen, "10.80.0.2");
    assert.equal(worker!.seen, "10.80.1.2");
    const [answer] = await once(net.connect(worker!.port, "10.80.1.2"), "data");
    assert.equal(String(answer), "the worker");
    child.stdin.end();
    await once(child, "exit");
    close();
  });
}

const rules = join(folder, "rules");

/** What a program that is registered with these says of itself. */
async function registered(settings: object, port: number, barred: number) {
  const given = { nic: "tap:mrset0", addresses: ["10.80.0.2/24"], ...settings };
  const { stdout, stderr, status } = await runCase(program("registered"), {
    accelerated: false,
    args: [FAR, "10.80.0.1", `${port}`, `${barred}`],
    env: { SETTINGS: JSON.stringify(given) },
  });
  assert.equal(status, 0, stderr);
  return { ...JSON.parse(stdout), stderr };
}

test("every word of register({…}) is in force", async () => {
  const [one, other] = [await server(), await server()];
  writeFileSync(rules, `use os tcp_client *:${other.port}\n`);
  const all = await registered(
    { gateways: ["10.80.0.1"], loopback: true, profile: "latency", rules, debug: true },
    one.port,
    other.port,
  );
  assert.match(all.stderr, /enabled bypass on tcp connect 198\.51\.100\.1 .* goes through mrset0/);
  assert.equal(all.barred.by, "kernel");
  assert.match(all.barred.reason, /rules/);
  assert.equal(all.loopback.by, "millrace");
  assert.equal(all.sleeps, false);

  const few = await registered({ profile: "idle" }, one.port, one.port);
  assert.ok(few.reasons.includes("Millrace has no route there"), `${few.reasons}`);
  assert.deepEqual([few.barred.by, few.barred.seen], ["millrace", "10.80.0.2"]);
  assert.equal(few.loopback.by, "kernel");
  assert.equal(few.sleeps, true);
  assert.equal(few.stderr, "");
  one.close();
  other.close();
});

test("what only fails when it is used says which setting it is, and the kernel has the sockets", () => {
  const own = { MILLRACE_NIC: "tap:mrset0", MILLRACE_ADDRESS: "10.80.0.2/24" };
  const rows: [NodeJS.ProcessEnv, RegExp][] = [
    [
      { ...own, MILLRACE_GATEWAY: "10.81.0.1" },
      /^millrace: gateways \(MILLRACE_GATEWAY\): .*10\.81\.0\.1/,
    ],
    [
      { ...own, MILLRACE_NIC: "xdp:nosuch0" },
      /^millrace: nic \(MILLRACE_NIC\): .*there is no interface nosuch0/,
    ],
  ];
  const ask = `require("net").connect(1, "10.80.0.1").on("error", (e) => console.log(e.code))`;
  for (const [env, expected] of rows) {
    const { stdout, stderr } = spawnSync(process.execPath, ["--import", REGISTER, "-e", ask], {
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
    assert.equal(stdout, "ECONNREFUSED\n", stderr);
    assert.match(stderr, expected);
    assert.match(stderr, /; sockets stay with the kernel\n$/);
  }
});
