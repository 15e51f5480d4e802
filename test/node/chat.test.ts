/** Two accelerated programs talk in a multicast group, over memif; nothing but their stacks is between. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runCase } from "./support/run-case.js";

const CHAT = fileURLToPath(new URL("programs/chat.js", import.meta.url));

test("two programs chat in a multicast group, and hear themselves", async () => {
  const path = `@millrace-chat-${process.pid}`;
  const join = (name: string, other: string, address: string, role: string) =>
    runCase(CHAT, {
      accelerated: true,
      args: [name, other, address],
      env: { MILLRACE_NIC: `memif:${path},role=${role}`, MILLRACE_ADDRESS: `${address}/24` },
    });
  const [ann, bob] = await Promise.all([
    join("ann", "bob", "10.78.2.1", "server"),
    join("bob", "ann", "10.78.2.2", "client"),
  ]);
  const said = (address: string) => [1, 2, 3].map((i) => `line ${i} (${address})`).join(", ");
  const expected = `ann: ${said("10.78.2.1")}\nbob: ${said("10.78.2.2")}\n`;
  assert.deepEqual([ann.stdout, bob.stdout], [expected, expected], `${ann.stderr}${bob.stderr}`);
  assert.deepEqual([ann.status, bob.status], [0, 0]);
  assert.match(ann.stderr, /enabled bypass on udp bind/);
});
