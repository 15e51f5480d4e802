/**
 * Programs behave with Millrace under them as they do on the kernel's sockets: each case runs on both
 * and says the same, to its exit status. Both ends are in its process and talk through Millrace's
 * loopback interface.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace } from "../support/namespace.js";
import { certificateFolder } from "./support/certificate.js";
import { runCase } from "./support/run-case.js";

await enterNamespace(import.meta.url);

const CASES = fileURLToPath(new URL("cases/", import.meta.url));
const certificates = certificateFolder();

for (const file of readdirSync(CASES)
  .filter((f) => f.endsWith(".js"))
  .sort()) {
  test(`${file.replace(".js", "")} is the same on the kernel and on Millrace`, async () => {
    const env = { CASE_CERTIFICATES: certificates };
    const [onKernel, onMillrace] = await Promise.all([
      runCase(`${CASES}${file}`, { env, accelerated: false }),
      runCase(`${CASES}${file}`, { env, accelerated: true }),
    ]);
    assert.equal(onMillrace.stdout, onKernel.stdout);
    assert.equal(onMillrace.status, onKernel.status);
    assert.match(onMillrace.stderr, /enabled bypass on (tcp connect|udp bind)/);
    const unexpected = onMillrace.stderr
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("millrace: "));
    assert.deepEqual(
      unexpected,
      onKernel.stderr.split("\n").filter((line) => line !== ""),
    );
  });
}
