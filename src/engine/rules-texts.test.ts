import assert from "node:assert/strict";
import { constants, openSync } from "node:fs";
import { test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import { Msg } from "../ring/engine-layout.js";
import { MAX_RULES_BYTES } from "../socket/rules.js";
import { closeFd, pollFds } from "../sys/fd.js";
import { createMemfd, createSealed } from "../sys/memory.js";
import { connectUnix, sendWithFds, unixPair } from "../sys/unix-socket.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import { RulesTexts } from "./rules-texts.js";
import { RulesTurns } from "./rules-turns.js";
import { helloMessage, type TestClient } from "./test-client-fixture.js";

const TEXT = "use os tcp_server *:80\n";

const memfd = (text: string): number => createSealed("rules", Buffer.from(text));

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
    assert.match(said(createMemfd("rules", TEXT.length)), refused); // may be written to
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

/** A socket to the engine by which `of` lets another process in. */
function doorOf(rig: EngineRig, of: number): number {
  const [mine, theirs] = unixPair();
  sendWithFds(of, Uint8Array.of(Msg.DOOR, 0, 0, 0), [theirs]);
  closeFd(theirs);
  rig.run();
  return mine;
}

test("who is let in and cannot read the rules has its starter's, of the same file only", () => {
  withEngine((rig) => {
    const rules = "/root/web.rules";
    const rulesFd = memfd("application-id child *\nuse os tcp_server *:80\n");
    const starter = rig.client({ rules, rulesFd });
    closeFd(rulesFd);
    const join = (controlFd: number, file: string): TestClient =>
      rig.client({ controlFd, rules: file, rulesOfStarter: true, program: "child" });
    // By way of a process that lets the next one in before it has said anything itself, and is gone then.
    const between = doorOf(rig, starter.controlFd);
    const direct = doorOf(rig, between);
    closeFd(between);
    rig.run();
    const child = join(direct, rules);
    const session = rig.engine.sessions.find((s) => s.program.name === "child")!;
    const own = { address: IpAddress.parse("10.77.0.1"), port: 80 };
    assert.match(session.rules.decide("tcp_server", own, null).reason, /web\.rules:2: use os/);
    child.close();
    const other = doorOf(rig, starter.controlFd);
    assert.throws(
      () => join(other, "/root/other.rules"),
      /HELLO: -13 .*other\.rules cannot be read/,
    );
    assert.throws(
      () => rig.client({ rules, rulesOfStarter: true }), // by the front door
      /HELLO: -13 .*web\.rules cannot be read/,
    );
  });
});

test("what a text can cost is bounded, and what is said of it is short", () => {
  const texts = new RulesTexts();
  const line = "use os tcp_client *:* : *:*\n";
  assert.equal(texts.parse("a", line.repeat(1000)).length, 1000);
  assert.throws(() => texts.parse("a", line.repeat(1001)), {
    message: "a:1001:1: expected at most 1000 statements in a file",
  });
  const refused = (text: string): string => {
    try {
      texts.parse("a", text);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  const glob = `application-id ${"[".repeat(65)} *`;
  assert.match(
    refused(glob),
    /^a:1:16: expected a program's name or \* of at most 64 characters; got "\[{40}…"$/,
  );
  for (const long of ["x", "\u0001", "\ud83d\ude00"]) {
    const said = refused(`${`use os ${long.repeat(2000)}\n`.repeat(30)}`);
    assert.match(said, /^a:1:8: expected a role/);
    assert.ok(said.length < 20 * 400, `${said.length} characters`);
  }
});

test("new texts are read one a pass, and others are served between; who has none, or a known one, does not wait", () => {
  withEngine((rig) => {
    const said: number[] = [];
    const hello = (i: number): void => {
      const fd = connectUnix({ path: rig.engine.paths.control });
      assert.ok(fd >= 0);
      const rulesFd = memfd("use os tcp_client *:* : *:*\n".repeat(500 + i));
      sendWithFds(fd, helloMessage({ rules: `web-${i}.rules` }), [rulesFd]);
      closeFd(rulesFd);
      said.push(fd);
    };
    const known = memfd(TEXT);
    rig.client({ rules: "known.rules", rulesFd: known }).close();
    rig.until(() => rig.engine.sessions.length === 0);
    for (let i = 0; i < 16; i++) hello(i);
    let before = 0;
    for (let i = 0; i < 40; i++) {
      rig.run();
      assert.ok(rig.engine.sessions.length <= before + 1, "two in one pass");
      before = rig.engine.sessions.length;
    }
    assert.ok(before < 16, "as fast as they come");
    rig.client();
    rig.client({ rules: "known.rules", rulesFd: known });
    closeFd(known);
    assert.ok(rig.engine.sessions.length < 16 + 2);
    for (let i = 16; i < 100; i++) hello(i);
    rig.until(() => {
      rig.aheadUs += 10_000;
      return pollFds(Int32Array.from(said), said.length, 0) === said.length;
    }, "an answer to each");
    const joined = rig.engine.sessions.length - 2;
    assert.ok(joined >= 64 && joined < 100, `${joined} of 100: the rest is refused`);
    for (const fd of said) closeFd(fd);
    rig.until(() => rig.engine.sessions.length === 2);
  });
});

test("a text has its turn when others have had four times as long as the one before took", () => {
  const turns = new RulesTurns();
  const waiting = (fd: number) => ({ fd, hello: {} as never, text: "" });
  assert.ok(turns.isFree(0));
  turns.note(1_000, 100);
  assert.ok(!turns.isFree(1_500) && turns.isFree(1_501));
  assert.ok(turns.add(waiting(5)) && turns.add(waiting(6)));
  assert.ok(!turns.isFree(9_999)); // not before them
  assert.equal(turns.nextUs, 1_501);
  assert.equal(turns.take(1_500), null);
  assert.equal(turns.take(1_501)?.fd, 5);
  turns.remove(6);
  assert.equal(turns.take(9_999), null);
  for (let fd = 0; fd < 64; fd++) assert.ok(turns.add(waiting(fd)));
  assert.ok(!turns.add(waiting(64)));
});

test("who waits for its turn says nothing else meanwhile: no second session, and its end is heard of", () => {
  withEngine((rig) => {
    const sent: number[] = [];
    const hello = (fd: number, i: number): void => {
      const rulesFd = memfd("use os tcp_client *:* : *:*\n".repeat(900 + i));
      sendWithFds(fd, helloMessage({ rules: `web-${i}.rules` }), [rulesFd]);
      closeFd(rulesFd);
    };
    for (let i = 0; i < 2; i++) {
      const fd = connectUnix({ path: rig.engine.paths.control });
      assert.ok(fd >= 0);
      sent.push(fd);
      hello(fd, i); // the first one's is read at once
    }
    sendWithFds(sent[1]!, helloMessage({}), []);
    rig.until(() => rig.engine.sessions.length > 0, "the first one's session");
    assert.equal(rig.engine.sessions.length, 1);
    for (let i = 0; i < 100; i++) {
      rig.aheadUs += 10_000;
      rig.run();
      assert.ok(rig.engine.sessions.length <= 2, "a second session");
    }
    for (const fd of sent) closeFd(fd);
    rig.until(() => rig.engine.sessions.length === 0, "their end");
  });
});

test("who goes while it waits for its turn leaves its place, but for whom it has let in", () => {
  withEngine((rig) => {
    const text = "use os tcp_client *:* : *:*\n";
    const hello = (i: number): number => {
      const fd = connectUnix({ path: rig.engine.paths.control });
      assert.ok(fd >= 0);
      const rulesFd = memfd(text.repeat(900 + i));
      sendWithFds(fd, helloMessage({ rules: `web-${i}.rules` }), [rulesFd]);
      closeFd(rulesFd);
      return fd;
    };
    const first = hello(0); // its rules are read at once
    rig.until(() => rig.engine.sessions.length === 1);
    const gone = Array.from({ length: 63 }, (_, i) => hello(1 + i));
    const door = hello(64);
    const child = doorOf(rig, door);
    for (const fd of [...gone, door]) closeFd(fd);
    for (let i = 0; i < 20; i++) rig.run();
    const late = Array.from({ length: 20 }, (_, i) => hello(65 + i));
    const rules = "web-64.rules";
    rig.client({ controlFd: child, rules, rulesOfStarter: true, program: "child" });
    rig.until(() => {
      rig.aheadUs += 10_000;
      return pollFds(Int32Array.from(late), late.length, 0) === late.length;
    }, "an answer to each");
    assert.equal(rig.engine.sessions.length, 1 + 1 + late.length); // 64 wait at most
    for (const fd of [first, ...late]) closeFd(fd);
    rig.until(() => rig.engine.sessions.length === 1);
  });
});
