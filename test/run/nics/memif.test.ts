/** `millrace run --nic memif:PATH`: two engines on one machine, joined by shared memory. */
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace } from "../../support/namespace.js";
import { accelerated, PROGRAMS, tryHttp, tryPrograms } from "../../support/nic-programs.js";
import { RunWorld } from "../../support/run-world.js";
import { Testpmd } from "../../support/testpmd.js";

await enterNamespace(import.meta.url, "dpdk-testpmd", ...PROGRAMS);

test("programs of one engine and of another, over memif", async () => {
  const [first, second] = [RunWorld.open(), RunWorld.open()];
  const path = join(first.folder, "memif.sock");
  await tryPrograms(
    accelerated(first, "10.6.0.1", "--nic", `memif:server:${path}`, "--address", "10.6.0.1/24"),
    accelerated(second, "10.6.0.2", "--nic", `memif:${path}`, "--address", "10.6.0.2/24"),
  );
});

test("the same with DPDK's testpmd between them, which forwards what it gets", async (t) => {
  const [first, second] = [RunWorld.open(), RunWorld.open()];
  const path = (n: number): string => join(first.folder, `to-dpdk${n}`);
  const testpmd = new Testpmd({
    ports: [
      { path: path(0), role: "server" },
      { path: path(1), role: "server" },
    ],
    forward: "io",
  });
  t.after(() => testpmd.kill());
  await testpmd.untilForwarding();
  const near = accelerated(
    ...([first, "10.6.0.1", "--nic", `memif:${path(0)}`, "--address", "10.6.0.1/24"] as const),
  );
  const far = accelerated(
    ...([second, "10.6.0.2", "--nic", `memif:${path(1)}`, "--address", "10.6.0.2/24"] as const),
  );
  await tryHttp(far, near, 8080);
});
