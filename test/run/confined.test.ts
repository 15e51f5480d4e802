/** Servers that are another user by the time they serve, or have another root, compared with the kernel. */
import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { until } from "../support/until.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "cc");

const PLAIN = "# a comment\nuse millrace tcp_server *:*\n";

let comparison: Comparison;
/** Where other users may go, too. */
let open: string;
before(async () => {
  comparison = await Comparison.begin();
  open = comparison.openToOthers();
});
after(() => comparison.end());

test("servers that give up their rights go on with Millrace, as do those whom they start", async (t) => {
  const program = join(open, "confined");
  copyFileSync(comparison.build("confined"), program);
  for (const name of comparison.cases("confined")) {
    await t.test(name, () => comparison.compare(program, name));
  }
});

test("what they start has their rules, which it may not read itself", async (t) => {
  const program = join(open, "confined");
  const rules = join(comparison.folder, "web.rules"); // a folder that root alone may enter
  writeFileSync(rules, PLAIN);
  comparison.env = { MILLRACE_RULES: rules };
  for (const name of ["setuid_fork", "setuid_exec", "setuid_spawn", "setuid_system"]) {
    await t.test(name, () => comparison.compare(program, name));
  }
  comparison.env = {};
});

test("an engine that has stopped holds up nobody who only forks; when it goes on it serves them", async () => {
  const program = join(open, "confined");
  const child = comparison.start(program, "while_stopped");
  let said = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = new Promise((resolve) => child.once("exit", (...how) => resolve(how)));
  await until(() => said.includes("ready"), "the listener");
  comparison.signalEngine("SIGSTOP");
  try {
    child.stdin!.write("\n");
    await until(() => said.split("forked").length === 4, "three children");
  } finally {
    comparison.signalEngine("SIGCONT");
  }
  child.stdin!.write("\n");
  assert.deepEqual(await ended, [0, null], said);
  assert.equal(said.split("recv: 1, n").length, 4, said);
});
