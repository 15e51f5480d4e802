/** Servers that are another user by the time they serve, or have another root, compared with the kernel. */
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison, LIBRARY } from "./comparison.js";

await enterNamespace(import.meta.url, "cc");

/** For programs and library: everybody may go there, but not where the engine's socket is. */
const open = mkdtempSync(join(tmpdir(), "millrace-confined-"));
let comparison: Comparison;
before(async () => {
  chmodSync(open, 0o755);
  comparison = await Comparison.begin();
  comparison.preload = join(open, "libmillrace.so");
  copyFileSync(LIBRARY, comparison.preload);
});
after(async () => {
  await comparison.end();
  rmSync(open, { recursive: true });
});

test("servers that give up their rights go on with Millrace, as do those whom they start", async (t) => {
  const program = join(open, "confined");
  copyFileSync(comparison.build("confined"), program);
  for (const name of comparison.cases("confined")) {
    await t.test(name, () => comparison.compare(program, name));
  }
});
