/** Settings from the environment, a file and a program, and what is said of bad ones. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { accelerates, checkSettings, environmentSettings, spinUsOf } from "./settings.js";
import { checkTogether } from "./settings-together.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-settings-"));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, "millrace.json");

test("the environment's words are read", () => {
  const env = {
    MILLRACE_NIC: "memif:/run/a.sock",
    MILLRACE_ADDRESS: "10.0.0.2/24, fd00::2/64",
    MILLRACE_GATEWAY: "10.0.0.1",
    MILLRACE_LOOPBACK: "1",
    MILLRACE_PROFILE: "idle",
    MILLRACE_LINK_WAIT: "2.5",
    MILLRACE_DEBUG: "0",
  };
  assert.deepEqual(environmentSettings(env), {
    nic: "memif:/run/a.sock",
    addresses: ["10.0.0.2/24", "fd00::2/64"],
    gateways: ["10.0.0.1"],
    loopback: true,
    profile: "idle",
    linkWait: 2.5,
    debug: false,
  });
  assert.deepEqual(environmentSettings({ MILLRACE_NIC: "" }), {});
});

test("a file has the same words, and the environment comes first", () => {
  writeFileSync(file, '\uFEFF{ "nic": "tap:a", "loopback": true, "addresses": ["10.0.0.2/24"] }');
  const env = { MILLRACE_CONFIG: file, MILLRACE_NIC: "tap:b" };
  assert.deepEqual(environmentSettings(env), {
    nic: "tap:b",
    loopback: true,
    addresses: ["10.0.0.2/24"],
  });
});

test("what makes no sense is named, with what was expected", () => {
  assert.throws(() => environmentSettings({ MILLRACE_LOOPBACK: "maybe" }), {
    message: 'MILLRACE_LOOPBACK: expected 1 or 0, got "maybe"',
  });
  assert.throws(() => checkSettings({ profile: "fast" }, "register"), {
    message: 'register: profile: expected latency, balanced or idle, got "fast"',
  });
  assert.throws(
    () => checkSettings({ nick: "tap:a" }, "register"),
    /unknown setting "nick"; known/,
  );
  const wrong: [Record<string, unknown>, string][] = [
    [{ nic: "foo:bar" }, '"foo:bar"'],
    [{ nic: "tap:" }, '"tap:"'],
    [{ nic: 5 }, "5"],
    [{ linkWait: -1 }, "-1"],
    [{ linkWait: "soon" }, '"soon"'],
    [{ nic: () => {} }, "function"],
    [{ nic: 10n }, "10n"],
    [{ addresses: ["10.0.0.2"] }, '["10.0.0.2"]'],
    [{ addresses: ["10.0.0.2/33"] }, '["10.0.0.2/33"]'],
    [{ addresses: ["fd00::2/129"] }, '["fd00::2/129"]'],
    [{ addresses: ["10.0.0.2/24/8"] }, '["10.0.0.2/24/8"]'],
    [{ addresses: [""] }, '[""]'],
    [{ addresses: ["10.0.0.0/24"] }, '["10.0.0.0/24"]'],
    [{ addresses: ["127.0.0.2/24"] }, '["127.0.0.2/24"]'],
    [{ addresses: 7 }, "7"],
    [{ gateways: ["10.0.0.1/24"] }, '["10.0.0.1/24"]'],
    [{ gateways: ["224.0.0.1"] }, '["224.0.0.1"]'],
    [{ gateways: "there" }, '"there"'],
    [{ loopback: "yes" }, '"yes"'],
    [{ debug: 2 }, "2"],
    [{ rules: "" }, '""'],
    [{ profile: null }, "null"],
  ];
  for (const [given, got] of wrong) {
    const [name] = Object.keys(given);
    assert.throws(() => checkSettings(given, "register"), {
      name: "TypeError",
      message: new RegExp(
        `^register: ${name}: expected \\w.*, got ${got.replace(/[[\]()]/g, "\\$&")}$`,
      ),
    });
  }
  assert.throws(() => checkSettings([], "register"), /expected an object of settings, got \[\]/);
  writeFileSync(file, "{ nic }");
  assert.throws(
    () => environmentSettings({ MILLRACE_CONFIG: file }),
    /^TypeError: MILLRACE_CONFIG: .*json:1:3: expected /,
  );
  assert.throws(() => environmentSettings({ MILLRACE_CONFIG: join(folder, "none") }), /ENOENT/);
});

test("a file's mistakes are told with line and column", () => {
  const wrong: [string, RegExp][] = [
    ['{\n  "adresses": []\n}', /json:2:3: unknown setting "adresses"; known: nic, addresses/],
    ['{ "nic": "tap:a",\n\n "linkWait": -1 }', /json:3:14: linkWait: expected seconds .*, got -1$/],
    ['{\n  "addresses": [ "x" ]\n}', /json:2:16: addresses: expected .*, got \["x"\]$/],
    ['{ "nic": {} }', /json:1:10: nic: expected a device .*, got {}$/],
    ["\n[]", /json:2:1: expected an object of settings, got \[\]$/],
    ['{ "debug": true; }', /^MILLRACE_CONFIG: .*json:1:12: expected a value; got /],
    ['{ "debug": true,\n "debug": false }', /json:2:2: /],
  ];
  for (const [text, message] of wrong) {
    writeFileSync(file, text);
    assert.throws(() => environmentSettings({ MILLRACE_CONFIG: file }), {
      name: "TypeError",
      message,
    });
  }
  writeFileSync(file, '{ "nic": null } // as in {}');
  assert.throws(
    () => environmentSettings({ MILLRACE_CONFIG: file }),
    /json:1:10: nic: .* got null/,
  );
  writeFileSync(file, '// the lab\n{ "profile": "idle", }');
  assert.deepEqual(environmentSettings({ MILLRACE_CONFIG: file }), { profile: "idle" });
});

test("a device's words and names are checked before it is opened", () => {
  const wrong: [string, RegExp][] = [
    [
      "memif:/run/a.sock,role=boss",
      /MILLRACE_NIC: memif: expected role=server\|client, .*"role=boss"/,
    ],
    ["memif:server:/run/a.sock,id=x", /got "id=x"/],
    ["xdp:eth1,queue=all", /got "queue=all"/],
    ["tap:a-name-that-is-too-long", /an interface's name of up to 15 bytes .*, got "a-name-/],
    ["packet:eth 1", /got "eth 1"/],
  ];
  for (const [nic, message] of wrong) {
    assert.throws(() => environmentSettings({ MILLRACE_NIC: nic }), { name: "TypeError", message });
  }
  const right = ["memif:/run/a.sock,id=%w", "tap:mr%w", "tap0", "xdp:eth1,shared,xdp=a.o,index=1"];
  for (const nic of right) assert.equal(checkSettings({ nic }, "register").nic, nic);
});

test("settings that contradict one another are named", () => {
  const addresses = ["10.0.0.2/24", "fd00::2/64"];
  checkTogether({ nic: "tap:a", addresses, gateways: ["10.0.0.1", "fd00::1"] });
  for (const nic of ["xdp:eth1,shared", "xdp:eth1,queue=1,shared"]) checkTogether({ nic });
  const wrong: [Parameters<typeof checkTogether>[0], RegExp][] = [
    [
      { addresses, gateways: ["10.0.0.1", "10.0.0.3"] },
      /^gateways .*: expected one a family, got /,
    ],
    [
      { addresses, gateways: ["fd00:0::2"] },
      /^gateways .*: .*, got Millrace's own address fd00::2$/,
    ],
    [{ addresses: [...addresses, "10.0.0.2/16"] }, /^addresses .*, got 10\.0\.0\.2 twice$/],
    [{ nic: "tap:a" }, /^addresses \(MILLRACE_ADDRESS\): expected addresses for tap:a, /],
    [{ nic: "xdp:shared", addresses: [] }, /^addresses /],
  ];
  for (const [settings, message] of wrong) {
    assert.throws(() => checkTogether(settings), { name: "TypeError", message });
  }
});

test("nothing is accelerated without a device or loopback", () => {
  assert.equal(accelerates({}), false);
  assert.equal(accelerates({ loopback: true }), true);
  assert.equal(accelerates({ nic: "tap:a" }), true);
  assert.deepEqual([spinUsOf("latency"), spinUsOf(), spinUsOf("idle")], [Infinity, 50, 0]);
});
