import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fakeWorld } from "./fake-world.js";
import { run } from "./main.js";

test("rules that the engine's configuration names wrongly are told with the places in both files", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-engine-check-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const config = join(folder, "e.json");
  writeFileSync(config, '{\n  // whose\n  "rules": "web.rules"\n}');
  const rules = join(folder, "web.rules");
  const socket = join(folder, "e.sock");
  const start = async (...more: string[]): Promise<[number, string]> => {
    const world = fakeWorld();
    const status = await run(["engine", "--socket", socket, ...more], world);
    return [status, world.errText()];
  };
  const named = `${config}:3:12: rules: ${rules}`;
  const missing = `millrace engine: ${named}: no such file or directory\n`;
  assert.deepEqual(await start("--config", config), [2, missing]);
  writeFileSync(rules, "use os everything\nuse os tcp_server *:90000\n");
  const [status, text] = await start("--config", config);
  assert.equal(status, 2, text);
  const [first, second, ...rest] = text.replace(/^millrace engine: /, "").split("\n");
  assert.ok(first?.startsWith(`${named}:1:8: expected a role`), text);
  assert.ok(second?.startsWith(`${named}:2:21: expected a port`), text);
  assert.deepEqual(rest, [""]);
  const own = join(folder, "own.rules");
  writeFileSync(own, "use os everything\n");
  assert.match(
    (await start("--config", config, "--rules", own))[1],
    /^millrace engine: \S*own\.rules:1:8: /,
  );
});
