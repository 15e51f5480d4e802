import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { withEngine } from "./engine-fixture.js";
import { RulesFiles } from "./rules-files.js";

function withFolder(body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "millrace-rules-"));
  try {
    body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a file is read once, and again when it has changed", () => {
  withFolder((folder) => {
    const path = join(folder, "rules");
    const files = new RulesFiles();
    writeFileSync(path, "use os tcp_server *:80\n");
    const first = files.read(path);
    assert.equal(first.length, 1);
    assert.equal(files.read(path), first);
    writeFileSync(path, "use os tcp_server *:80\nuse os tcp_client *:81\n");
    assert.equal(files.read(path).length, 2);
    writeFileSync(path, "use os everything\n");
    assert.throws(() => files.read(path), /rules:1:8/);
  });
});

test("what is no plain file of a sensible size is refused, and does not hold anybody up", () => {
  withFolder((folder) => {
    const files = new RulesFiles();
    assert.equal(spawnSync("mkfifo", [join(folder, "fifo")]).status, 0);
    writeFileSync(join(folder, "big"), `#${"x".repeat(1 << 20)}`);
    assert.throws(() => files.read(join(folder, "fifo")), /expected a plain file/);
    assert.throws(() => files.read("/dev/zero"), /expected a plain file/);
    assert.throws(() => files.read(folder), /expected a plain file/);
    assert.throws(() => files.read(join(folder, "big")), /at most 1048576 bytes/);
    withEngine((rig) => {
      const rules = join(folder, "fifo");
      assert.throws(() => rig.client({ rules }), /HELLO: -22 .*expected a plain file/);
      rig.client();
    });
  });
});
