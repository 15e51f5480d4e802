/** `millrace run --nic memif:PATH`: two engines on one machine, joined by shared memory. */
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace } from "../../support/namespace.js";
import { accelerated, PROGRAMS, tryPrograms } from "../../support/nic-programs.js";
import { RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, ...PROGRAMS);

test("programs of one engine and of another, over memif", async () => {
  const [first, second] = [RunWorld.open(), RunWorld.open()];
  const path = join(first.folder, "memif.sock");
  await tryPrograms(
    accelerated(first, "10.6.0.1", "--nic", `memif:server:${path}`, "--address", "10.6.0.1/24"),
    accelerated(second, "10.6.0.2", "--nic", `memif:${path}`, "--address", "10.6.0.2/24"),
  );
});
