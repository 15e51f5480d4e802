/**
 * Programs behave with Millrace under them as they do on the kernel's sockets: each case runs on both
 * and says the same, to its exit status. Both ends are in its process and talk through Millrace's
 * loopback interface.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace, ip } from "../support/namespace.js";
import { certificateFolder } from "./support/certificate.js";
import { type CaseResult, runCase } from "./support/run-case.js";

await enterNamespace(import.meta.url, "ip");

const CASES = fileURLToPath(new URL("cases/", import.meta.url));
const certificates = certificateFolder();

/** Line by line: of long texts, a failure would not show where they differ. */
function assertSame(onMillrace: CaseResult, onKernel: CaseResult): void {
  assert.equal(onKernel.status, 0, `on the kernel: ${onKernel.stdout}${onKernel.stderr}`);
  assert.deepEqual(onMillrace.stdout.split("\n"), onKernel.stdout.split("\n"));
  assert.equal(onMillrace.status, onKernel.status);
}

/** The kernel's device, as Millrace has one: what groups' routes say is then the same. */
const KERNEL = { CASE_ADDRESS: "10.77.8.1", CASE_ADDRESS6: "fd78::1" };
ip("link", "add", "mrkernel0", "type", "veth", "peer", "name", "mrkernel1");
ip("address", "add", `${KERNEL.CASE_ADDRESS}/24`, "dev", "mrkernel0");
ip("address", "add", `${KERNEL.CASE_ADDRESS6}/64`, "dev", "mrkernel0", "nodad");
ip("link", "set", "mrkernel1", "up");
ip("link", "set", "mrkernel0", "up");

/** Kernel and Millrace, at an address that is Millrace's alone: nothing of the kernel's stands behind the sockets. */
for (const name of ["groups", "server-options", "udp-options", "family-attempts"]) {
  test(`${name} is the same at an address of Millrace's own`, async () => {
    const file = `${CASES}${name}.js`;
    const own = {
      MILLRACE_LOOPBACK: "",
      MILLRACE_NIC: `memif:@millrace-own-${process.pid},role=server`,
      MILLRACE_ADDRESS: "10.77.9.1/24,fd77::1/64",
      CASE_ADDRESS: "10.77.9.1",
      CASE_ADDRESS6: "fd77::1",
    };
    // In turn: at the kernel's loopback interface a socket hears groups that another process is in (IP_MULTICAST_ALL).
    const onKernel = await runCase(file, { accelerated: false, env: KERNEL });
    const onMillrace = await runCase(file, { accelerated: true, env: own });
    assertSame(onMillrace, onKernel);
    assert.equal(onMillrace.status, 0, onMillrace.stderr);
    assert.match(onMillrace.stderr, /enabled bypass .*: the address is Millrace's/);
  });
}

for (const file of readdirSync(CASES)
  .filter((f) => f.endsWith(".js"))
  .sort()) {
  test(`${file.replace(".js", "")} is the same on the kernel and on Millrace`, async () => {
    const env = { CASE_CERTIFICATES: certificates };
    const [onKernel, onMillrace] = await Promise.all([
      runCase(`${CASES}${file}`, { env, accelerated: false }),
      runCase(`${CASES}${file}`, { env, accelerated: true }),
    ]);
    assertSame(onMillrace, onKernel);
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
