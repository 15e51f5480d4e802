/** `millrace xdp load`: interfaces that cannot have the program, and objects that the kernel does not take. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseObject } from "../../src/ebpf/object.js";
import { KernelObject } from "../../src/nic/kernel-object.js";
import { XdpLink } from "../../src/sys/xdp-link.js";
import { enterNamespace, ip, needsRoot } from "../support/namespace.js";
import { addVeth } from "../support/test-link.js";
import { compileProgram } from "../support/xdp-objects.js";

await enterNamespace(import.meta.url, "ip", "setpriv", "clang");

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const FILTER = root("fuzz/corpus/elf/ipv6_filter.o");
const AS_NOBODY = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--ambient-caps=-all"];
const NO_PRIVILEGE = [...AS_NOBODY, "--reuid=65534", "--regid=65534", "--clear-groups"];

/** What it says when it fails. */
function failing(args: readonly string[], prefix: readonly string[] = []): string {
  const load = [process.execPath, root("bin/millrace.js"), "xdp", "load", ...args];
  const [program, ...rest] = [...prefix, ...load] as [string, ...string[]];
  const { status, stderr } = spawnSync(program, rest, { encoding: "utf8", timeout: 120_000 });
  assert.equal(status, 1, stderr);
  assert.equal(stderr.trim().includes("    at "), false, stderr);
  return stderr;
}

test("an interface that is not there, or has a program already", { skip: needsRoot() }, (t) => {
  addVeth("ml0", "ml1");
  t.after(() => ip("link", "delete", "ml0"));
  assert.match(
    failing([FILTER, "--dev", "ml7"]),
    /ENODEV.*there is no interface ml7 in this network namespace, only .*ml0/,
  );
  const kernel = KernelObject.load(parseObject(readFileSync(FILTER)), { program: "ipv6_filter" });
  t.after(() => kernel.close());
  const options = { interfaceName: "ml0", programFd: kernel.fd, mode: "auto" } as const;
  const link = XdpLink.attach(options);
  t.after(() => link.close());
  assert.match(
    failing([FILTER, "--dev", "ml0"]),
    /EBUSY.*ml0 has another XDP program already \(native, id \d+ "ipv6_filter"\); end the process.*ip link set dev ml0 xdp off/,
  );
});

test("a driver that takes no native program has a generic one", { skip: needsRoot() }, (t) => {
  addVeth("ml2", "ml3", 9_000);
  t.after(() => ip("link", "delete", "ml2"));
  const kernel = KernelObject.load(parseObject(readFileSync(FILTER)), { program: "ipv6_filter" });
  t.after(() => kernel.close());
  const options = { interfaceName: "ml2", programFd: kernel.fd } as const;
  assert.throws(() => XdpLink.attach({ ...options, mode: "native" }), {
    message: /the driver of ml2 takes no native program, or not with this MTU/,
  });
  const link = XdpLink.attach({ ...options, mode: "auto" });
  t.after(() => link.close());
  assert.equal(link.mode, "generic");
  assert.match(String(link.fallbackReason), /^ml2 takes no native XDP program: E/);
});

test("without privilege it says which is needed", { skip: needsRoot() }, () => {
  assert.match(failing([FILTER], NO_PRIVILEGE), /BPF_PROG_LOAD ipv6_filter EPERM.*CAP_BPF/);
});

test("of a helper that the kernel has not, its number and the line", { skip: needsRoot() }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-load-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const source = join(folder, "unknown.c");
  writeFileSync(
    source,
    `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
static long (*nope)(void) = (void *)9999;
SEC("xdp") int unknown(struct xdp_md *ctx __attribute__((unused))) { return nope() ? XDP_DROP : XDP_PASS; }
`,
  );
  const object = join(folder, "unknown.o");
  writeFileSync(object, compileProgram(source, "v3"));
  assert.match(
    failing([object]),
    /BPF_PROG_LOAD unknown EINVAL[\s\S]*unknown\.c:4[\s\S]*invalid func unknown#9999/,
  );
});
