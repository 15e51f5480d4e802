/**
 * The interop tests of the TAP again over AF_XDP and AF_PACKET: same test, other device. Each file
 * makes its own namespace and has its captures judged.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { needsRoot } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import type { LinkKind } from "../support/test-link.js";

const FILES: Readonly<Record<Exclude<LinkKind, "tap">, readonly string[]>> = {
  "xdp-generic": ["ping", "udp", "tcp", "http", "multicast", "bulk"],
  "xdp-native": ["udp", "tcp", "http", "bulk"],
  packet: ["ping", "udp", "tcp", "http", "multicast", "bulk"],
};
/** In place of the gigabytes that the TAP moves. */
const BULK_BYTES = 64 << 20;

for (const [link, names] of Object.entries(FILES)) {
  const skip = link === "packet" ? false : needsRoot();
  for (const name of names) {
    test(`${name} over ${link}`, { skip }, async () => {
      const file = fileURLToPath(new URL(`./${name}.test.js`, import.meta.url));
      const environment = [
        "-u",
        "NODE_TEST_CONTEXT", // its results are not this file's
        `MILLRACE_TEST_LINK=${link}`,
        `MILLRACE_BULK_BYTES=${BULK_BYTES}`,
      ];
      const said = await runAsync("env", ...environment, process.execPath, file);
      assert.match(said, /^# fail 0$/m);
      assert.doesNotMatch(said, /^# skipped [1-9]/m);
    });
  }
}
