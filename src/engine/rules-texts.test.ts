import assert from "node:assert/strict";
import { constants, openSync, writeSync } from "node:fs";
import { test } from "node:test";
import { MAX_RULES_BYTES } from "../socket/rules.js";
import { closeFd } from "../sys/fd.js";
import { createMemfd } from "../sys/memory.js";
import { withEngine } from "./engine-fixture.js";
import { RulesTexts } from "./rules-texts.js";

const TEXT = "use os tcp_server *:80\n";

function memfd(text: string): number {
  const fd = createMemfd("rules", text.length);
  writeSync(fd, text, 0);
  return fd;
}

test("a text is read once; another file or another text is another", () => {
  const texts = new RulesTexts();
  const first = texts.parse("a", TEXT);
  assert.equal(first.length, 1);
  assert.equal(texts.parse("a", TEXT), first);
  assert.match(texts.parse("b", TEXT)[0]!.source, /^b:1: use os/);
  assert.equal(texts.parse("a", `${TEXT}use os tcp_client *:81\n`).length, 2);
  assert.throws(() => texts.parse("a", "use os everything\n"), /a:1:8/);
});

test("rules come with HELLO as sealed memory, and what else comes is refused, not read", () => {
  withEngine((rig) => {
    const rules = "/no/such/folder/web.rules"; // only a name
    const said = (fd: number | undefined): string => {
      try {
        rig.client({ rules, ...(fd === undefined ? {} : { rulesFd: fd }) });
        return "welcome";
      } catch (error) {
        return (error as Error).message;
      } finally {
        if (fd !== undefined) closeFd(fd);
      }
    };
    assert.equal(said(memfd(TEXT)), "welcome");
    assert.equal(said(memfd("")), "welcome");
    assert.match(
      said(memfd("use os everything\n")),
      /^HELLO: -22 .*web\.rules:1:8: expected a role/,
    );
    assert.match(said(memfd("#".repeat(MAX_RULES_BYTES + 1))), /^HELLO: -71 .*at most 65536 bytes/);
    const refused = /^HELLO: -71 .*expected the contents of .*web\.rules as a sealed memfd/;
    assert.match(said(undefined), refused);
    assert.match(said(openSync("/proc/self/exe", "r")), refused);
    assert.match(said(openSync("/dev/zero", "r")), refused);
    const unreadable = memfd(TEXT);
    const { O_WRONLY } = constants;
    assert.match(
      said(openSync(`/proc/self/fd/${unreadable}`, O_WRONLY)),
      /^HELLO: -71 .*web\.rules: cannot be read: EBADF/,
    );
    closeFd(unreadable);
    rig.client();
  });
});
