import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { background, enterNamespace, ip, Namespace, run } from "./namespace.js";
import { requireTools } from "./tools.js";

await enterNamespace(import.meta.url);

const URL_HERE = JSON.stringify(new URL("./namespace.js", import.meta.url).href);
const namespaces = () =>
  run("ip", "netns", "list")
    .split("\n")
    .filter((line) => line !== "");

test("this file runs in a namespace with nothing but a loopback that is up", () => {
  const links = ip("-o", "link").trim().split("\n");
  assert.equal(links.length, 1, links.join());
  assert.match(links[0]!, /^1: lo: <LOOPBACK,UP/);
});

test("a further namespace is apart from this one, and gone when it is closed", () => {
  const other = Namespace.create();
  ip("link", "add", "here0", "type", "veth", "peer", "name", "there0", "netns", other.name);
  assert.match(other.run("ip", "link", "show", "there0"), /there0/);
  assert.throws(() => ip("link", "show", "there0"), /does not exist/);
  const script = new URL("./print-interfaces.js", import.meta.url).href;
  assert.equal(other.runNode(script), "lo there0\n");
  const sleeper = other.background("sleep", "1000");
  other.close();
  other.close();
  assert.equal(
    namespaces().some((line) => line.startsWith(other.name)),
    false,
  );
  return sleeper.ended.then((status) => assert.equal(status, null, "its processes are ended"));
});

test("a background program's output is kept, waited for, and its end is noticed", async () => {
  const cat = background("cat");
  cat.write("hello\n");
  await cat.waitFor(/hello\n/);
  await assert.rejects(cat.waitFor(/never/, 20), /20 ms passed before .*never.*it said: hello/);
  cat.write();
  assert.equal(await cat.ended, 0);
  await assert.rejects(cat.waitFor(/never/), /ended before/);
  assert.equal(await background("sleep", "1000").stop(), null);
  const missing = background("no-such-program");
  assert.equal(await missing.ended, null);
  assert.match(missing.output, /no-such-program (ENOENT|EACCES)/);
});

test("a failed command throws with what the program said", () => {
  assert.throws(
    () => ip("link", "set", "nothing0", "up"),
    /ip link set nothing0 up: status 1: .*nothing0/,
  );
});

/** A process that makes a namespace with a program in it, prints its name and goes on. */
const MAKER = `
  import { Namespace } from ${URL_HERE};
  const n = Namespace.create();
  n.background("sleep", "1000");
  console.log(n.name);
  setInterval(() => {}, 1000);`;

async function makerEndedBy(signal: NodeJS.Signals): Promise<string> {
  const maker = spawn(process.execPath, ["--input-type=module", "-e", MAKER]);
  const name = await new Promise<string>((resolve) => {
    maker.stdout.once("data", (chunk) => resolve(String(chunk).trim()));
  });
  assert.ok(
    namespaces().some((line) => line.startsWith(name)),
    "made",
  );
  maker.kill(signal);
  await new Promise((resolve) => maker.once("exit", resolve));
  return name;
}

test("namespaces go when their maker is interrupted", async () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const name = await makerEndedBy(signal);
    assert.equal(
      namespaces().some((line) => line.startsWith(name)),
      false,
      signal,
    );
  }
});

test("namespaces of a killed maker go when the next one is made", async () => {
  const name = await makerEndedBy("SIGKILL");
  assert.equal(
    namespaces().some((line) => line.startsWith(name)),
    true,
  );
  Namespace.create().close();
  assert.equal(
    namespaces().some((line) => line.startsWith(name)),
    false,
  );
});

test("a test file that fails inside fails outside, with its results", () => {
  const script = `
    import { enterNamespace } from ${URL_HERE};
    await enterNamespace(import.meta.url);
    console.log("inside");
    process.exit(3);`;
  const file = join(tmpdir(), `millrace-inside-${process.pid}.mjs`);
  writeFileSync(file, script);
  const env = { ...process.env };
  delete env.MILLRACE_TEST_NAMESPACE;
  const { status, stdout } = spawnSync(process.execPath, [file], { env, encoding: "utf8" });
  rmSync(file);
  assert.deepEqual([status, stdout], [3, "inside\n"]);
});

test("missing tools are named with the package that has them", () => {
  requireTools("ip", "sh");
  assert.throws(
    () => requireTools("ip", "no-such-tool", "also-missing"),
    /this test needs no-such-tool, also-missing; install: apt-get install no-such-tool also-missing/,
  );
});
