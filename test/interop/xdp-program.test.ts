/** XDP programs of ours on a real interface: attached, named, in whose way, and gone again. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, test } from "node:test";
import { NetError } from "../../src/base/errors.js";
import { attachRedirectAll } from "../../src/nic/xdp-program.js";
import { attachedXdp } from "../../src/sys/xdp-link.js";
import { enterNamespace, ip, needsRoot } from "../support/namespace.js";

await enterNamespace(import.meta.url, "ip");
const options = { skip: needsRoot() };

ip("link", "add", "xdp0", "type", "veth", "peer", "name", "xdp1");
after(() => ip("link", "del", "xdp0"));

const openFds = (): number => readdirSync("/proc/self/fd").length;

for (const mode of ["auto", "native", "generic"] as const) {
  test(
    `${mode}: the program is on the interface until it is closed, and leaves no descriptor`,
    options,
    () => {
      const before = openFds();
      const program = attachRedirectAll({ interface: "xdp0", mode });
      assert.equal(program.mode, mode === "generic" ? "generic" : "native");
      assert.equal(program.fallbackReason, null);
      assert.ok(program.xskMapFd >= 0);
      const attached = attachedXdp("xdp0");
      assert.equal(attached?.mode, program.mode);
      assert.equal(attached?.name, "millrace_all");
      program.close();
      program.close();
      assert.ok(program.xskMapFd < 0);
      assert.equal(attachedXdp("xdp0"), null);
      assert.equal(openFds(), before);
    },
  );
}

test("an interface without native XDP falls back to generic and says why", options, () => {
  const program = attachRedirectAll({ interface: "lo" });
  assert.equal(program.mode, "generic");
  assert.match(program.fallbackReason ?? "", /^lo takes no native XDP program: EOPNOTSUPP/);
  program.close();
  const wanted = { name: "NetError", message: /generic mode works with every driver/ };
  assert.throws(() => attachRedirectAll({ interface: "lo", mode: "native" }), wanted);
});

test("an interface that has a program says whose it is, and how to be rid of it", options, () => {
  const first = attachRedirectAll({ interface: "xdp0", mode: "generic" });
  const before = openFds();
  for (const mode of ["auto", "native", "generic"] as const) {
    assert.throws(
      () => attachRedirectAll({ interface: "xdp0", mode }),
      (error: NetError) => {
        assert.ok(error instanceof NetError);
        assert.equal(error.code, "EBUSY");
        assert.match(error.message, /xdp0 has another XDP program already \(generic, id \d+ "mi/);
        assert.match(error.message, /ip link set dev xdp0 xdp off/);
        return true;
      },
    );
  }
  assert.equal(openFds(), before);
  first.close();
});

test("no such interface is ENODEV", options, () => {
  const before = openFds();
  assert.throws(() => attachRedirectAll({ interface: "absent" }), { code: "ENODEV" });
  assert.equal(openFds(), before);
});

test(
  "with frames in several buffers, an interface of a large MTU takes a native program",
  options,
  () => {
    ip("link", "set", "xdp0", "mtu", "9000");
    ip("link", "set", "xdp1", "mtu", "9000");
    const program = attachRedirectAll({ interface: "xdp0", mode: "native", hasFrags: true });
    assert.equal(program.mode, "native");
    program.close();
  },
);
