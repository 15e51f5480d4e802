import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fakeWorld } from "./fake-world.js";
import { run } from "./main.js";

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-engine-check-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Status and words of a command line. */
async function said(env: Record<string, string>, ...args: string[]): Promise<[number, string]> {
  const world = fakeWorld({ env });
  const status = await run(args, world);
  return [status, world.errText()];
}

test("rules that the engine's configuration names wrongly are told with the places in both files", async (t) => {
  const folder = folderOf(t);
  const config = join(folder, "e.json");
  writeFileSync(config, '{\n  // whose\n  "rules": "web.rules"\n}');
  const rules = join(folder, "web.rules");
  const socket = join(folder, "e.sock");
  const start = (...more: string[]) => said({}, "engine", "--socket", socket, ...more);
  const named = `${config}:3:12: rules: ${rules}`;
  const missing = `${named}: no such file or directory\n`;
  assert.deepEqual(await start("--config", config), [1, missing]);
  writeFileSync(rules, "use os everything\nuse os tcp_server *:90000\n");
  const [status, text] = await start("--config", config);
  assert.equal(status, 1, text);
  const [first, second, ...rest] = text.split("\n");
  assert.ok(first?.startsWith(`${named}:1:8: expected a role`), text);
  assert.ok(second?.startsWith(`${named}:2:21: expected a port`), text);
  assert.deepEqual(rest, [""]);
  const own = join(folder, "own.rules");
  writeFileSync(own, "use os everything\n");
  assert.match((await start("--config", config, "--rules", own))[1], /^\S*own\.rules:1:8: /);
});

test("what flags say of an interface that cannot be is wrong usage, for run and for engine", async (t) => {
  const socket = join(folderOf(t), "e.sock");
  const rows: [string[], RegExp][] = [
    [["--nic", "tap:tap0123456789012345"], /--nic: tap: expected an interface's name of up to 15/],
    [["--nic", "memif:/a,ringSize=7"], /--nic: memif: expected a ringSize that is a power of two/],
    [
      ["--nic", "tap0", "--address", "10.5.0.2/24", "--gateway", "10.6.0.1"],
      /--gateway: gateway 10\.6\.0\.1: expected one on the network of one of the addresses/,
    ],
    [["--nic", "tap0", "--xdp", "a.o,program"], /--xdp: xdp: expected program=NAME/],
    [["--nic", "eth1", "--address", "10.5.0.2/24"], /--address: eth1 is shared with the kernel/],
  ];
  for (const [flags, expected] of rows) {
    for (const command of [["engine"], ["run", "--start-only"]]) {
      const [status, text] = await said({ MILLRACE_ENGINE: socket }, ...command, ...flags);
      assert.equal(status, 2, text);
      assert.match(text, expected);
      assert.match(text, /\n\(see millrace (run|engine) --help\)\n$/);
    }
  }
});

test("values that are none are refused whether an engine runs or not", async (t) => {
  const socket = join(folderOf(t), "e.sock");
  const rows = ["profile fast", "spin -1", "network 10.77.0.1", "address 127.0.0.1", "gateway x"];
  for (const row of rows) {
    const [option = "", value = ""] = row.split(" ");
    const args = ["run", "--start-only", `--${option}=${value}`];
    const [status, text] = await said({ MILLRACE_ENGINE: socket }, ...args);
    assert.equal(status, 2, text);
    assert.match(
      text,
      RegExp(`^millrace run: option '--${option} .* '${value}' is invalid\\. expected `),
    );
  }
});

test("an engine's socket that cannot be: its path too long, its folder not there; nothing is left behind", async (t) => {
  const folder = folderOf(t);
  const long = join(folder, "a".repeat(103 - folder.length - 1));
  for (const command of [["engine"], ["run", "--start-only"], ["stat"]]) {
    const [status, text] = await said({ MILLRACE_ENGINE: long }, ...command);
    assert.equal(status, 2, text);
    assert.ok(
      text.includes(
        `MILLRACE_ENGINE: expected the path of a control socket, of 1 to 102 bytes, got ${long} (103 bytes)`,
      ),
      text,
    );
  }
  const [status, text] = await said({}, "engine", "--socket", long);
  assert.deepEqual([status, /of 1 to 102 bytes/.test(text)], [2, true], text);
  assert.deepEqual(readdirSync(folder), []);
  const none = join(folder, "none");
  for (const command of [["engine"], ["run", "--start-only"]]) {
    const [failed, why] = await said({ MILLRACE_ENGINE: join(none, "e.sock") }, ...command);
    assert.equal(failed, 1, why);
    assert.match(why, /^millrace( engine)?: ENOENT: /);
    assert.ok(why.includes(`; ${none}, where the engine's socket is to be`), why);
  }
});

test("a user's file where the engine's socket is to be stays, without a lock or a log beside it", async (t) => {
  const folder = folderOf(t);
  const file = join(folder, "notes");
  writeFileSync(file, "mine");
  for (const command of [["engine"], ["run", "--start-only"]]) {
    const [status, text] = await said({ MILLRACE_ENGINE: file }, ...command);
    assert.equal(status, 1, text);
    assert.ok(text.includes(`EEXIST: already exists; ${file} is no socket, and stays; name`), text);
    assert.deepEqual(readdirSync(folder), ["notes"]);
  }
});

test("a XDG_RUNTIME_DIR in which no folder can be made is told, at once", async () => {
  for (const place of ["/proc/1", "/etc/passwd"]) {
    const [status, text] = await said({ XDG_RUNTIME_DIR: place }, "engine");
    assert.equal(status, 1, text);
    assert.ok(text.includes(`; ${place}/millrace; set XDG_RUNTIME_DIR to a folder of`), text);
  }
});

test("what only shows when interfaces are opened is told with the place of its value, too", async (t) => {
  const folder = folderOf(t);
  const config = join(folder, "e.json");
  const object = join(folder, "acl.o");
  writeFileSync(object, "none");
  const nic = `  { "nic": "memif:${folder}/m.sock", "xdp": "acl.o" }`;
  writeFileSync(config, `{ "nics": [\n${nic}\n] }`);
  const column = nic.indexOf('"acl.o"') + 1;
  const place = `${config}:2:${column}: nics[0].xdp: ${object}: a file of 4 bytes is shorter than an ELF header\n`;
  const env = { MILLRACE_ENGINE: join(folder, "e.sock") };
  assert.deepEqual(await said(env, "engine", "--config", config), [1, place]);
  const started = await said(env, "run", "--start-only", "--config", config);
  assert.deepEqual(started, [1, `millrace: the engine does not start:\n${place}`]);
});
