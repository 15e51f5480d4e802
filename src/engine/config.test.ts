import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PlacedError } from "../base/placed-error.js";
import { DEFAULT_CONFIG, parseConfig } from "./config.js";
import { schemaText } from "./config-schema.js";

const PUBLISHED = new URL("../../../docs/engine-config.schema.json", import.meta.url);

function problems(text: string): string[] {
  try {
    parseConfig(text, "/etc/e.json");
    return [];
  } catch (error) {
    assert.ok(error instanceof PlacedError);
    return error.message.split("\n");
  }
}

test("the published schema is the one that files are checked by", () => {
  assert.deepEqual(
    JSON.parse(readFileSync(PUBLISHED, "utf8")),
    JSON.parse(schemaText()),
    "write schemaText() of src/engine/config-schema.ts to docs/engine-config.schema.json",
  );
});

test("an empty file is the default, as the schema says it", () => {
  assert.deepEqual(parseConfig("{}", "e.json"), DEFAULT_CONFIG);
  const { properties } = JSON.parse(schemaText()) as {
    properties: Record<string, { default?: unknown }>;
  };
  for (const name of ["network", "profile", "loopback", "keep", "idleSeconds"] as const) {
    assert.equal(properties[name]?.default, DEFAULT_CONFIG[name], name);
  }
});

test("everything can be said, with comments; a rules file is looked for beside the configuration", () => {
  const config = parseConfig(
    `{
      "$schema": "./engine-config.schema.json",
      // the card to the exchange
      "nics": [
        { "nic": "eth1" },
        { "nic": "tap:tap0", "addresses": ["10.0.0.2/24", "fd00::2/64"], "gateway": "10.0.0.1",
          "routes": [{ "to": "10.9.0.0/16", "via": "10.0.0.9" }], "mtuBytes": 9000,
          "xdp": "acl.o,map:denied=denied.json" },
      ],
      "network": "10.88.0.1/16", "profile": "latency", "spinUs": 50, "rules": "web.rules",
      "ringBytes": { "receive": 65536 }, "loopback": true, "keep": true, "idleSeconds": 0,
    }`,
    "/etc/millrace/e.json",
  );
  const places = (i: number): unknown => config.nics[i]?.places;
  const second = config.nics[1]?.places?.error("routes[0].via", "no").message;
  assert.equal(second, "/etc/millrace/e.json:7:52: nics[1].routes[0].via: no");
  assert.deepEqual(config, {
    nics: [
      {
        nic: "eth1",
        addresses: [],
        gateway: null,
        routes: [],
        mtuBytes: null,
        xdp: null,
        places: places(0),
      },
      {
        nic: "tap:tap0",
        addresses: ["10.0.0.2/24", "fd00::2/64"],
        gateway: "10.0.0.1",
        routes: [{ to: "10.9.0.0/16", via: "10.0.0.9" }],
        mtuBytes: 9000,
        xdp: "/etc/millrace/acl.o,map:denied=/etc/millrace/denied.json",
        places: places(1),
      },
    ],
    network: "10.88.0.1/16",
    profile: "latency",
    spinUs: 50,
    rules: "/etc/millrace/web.rules",
    rulesPlace: { file: "/etc/millrace/e.json", line: 10, column: 79 },
    ringBytes: { receive: 65_536, send: 131_072 },
    loopback: true,
    keep: true,
    idleSeconds: 0,
  });
});

test("mistakes: file, line, column and what was expected, all of them at once", () => {
  const text = `{
  "nics": [{ "addresses": ["10.0.0.2", "10.0.0.300/24", 7] }],
  "profil": "latency",
  "profile": "fast",
  "loopback": "yes",
  "keep": null,
  "idleSeconds": 1.5,
  "ringBytes": { "send": 5000, "receive": 4096 },
  "rules": ["a"]
}`;
  assert.deepEqual(problems(text), [
    `/etc/e.json:2:28: nics[0].addresses[0]: expected a host's address with its prefix length, like 10.0.0.2/24 or fd00::2/64; got "10.0.0.2"`,
    `/etc/e.json:2:40: nics[0].addresses[1]: expected a host's address with its prefix length, like 10.0.0.2/24 or fd00::2/64; got "10.0.0.300/24"`,
    "/etc/e.json:2:57: nics[0].addresses[2]: expected a host's address with its prefix length, like 10.0.0.2/24 or fd00::2/64; got 7",
    '/etc/e.json:2:12: nics[0]: expected "nic" among the members; it is missing',
    '/etc/e.json:3:3: expected one of nics, network, profile, spinUs, rules, ringBytes, loopback, keep, idleSeconds; got "profil"',
    '/etc/e.json:4:14: profile: expected "latency", "balanced", "idle"; got "fast"',
    '/etc/e.json:5:15: loopback: expected true or false; got "yes"',
    "/etc/e.json:6:11: keep: expected true or false; got null",
    "/etc/e.json:7:18: idleSeconds: expected a whole number from 0 to 86400; got 1.5",
    "/etc/e.json:8:26: ringBytes.send: expected a power of two from 4096 to 16777216; got 5000",
    "/etc/e.json:9:12: rules: expected a file's name; got a list",
  ]);
  assert.deepEqual(problems("[]"), ["/etc/e.json:1:1: expected an object; got a list"]);
});

test("addresses that no host can have say which they are", () => {
  const [own, network, ...more] = problems(
    '{"nics": [{"nic": "tap0", "addresses": ["127.0.0.1/8"]}], "network": "10.0.0.0/8"}',
  );
  assert.match(
    own!,
    /:1:41: nics\[0\]\.addresses\[0\]: .*got "127\.0\.0\.1\/8", a loopback address$/,
  );
  assert.match(network!, /:1:70: .*got "10\.0\.0\.0\/8", the network address of 10\.0\.0\.0\/8$/);
  assert.deepEqual(more, []);
});

test("__proto__ and constructor are names like others", () => {
  assert.match(problems('{"__proto__": {}}')[0]!, /got "__proto__"/);
  assert.match(problems('{"constructor": {}}')[0]!, /got "constructor"/);
});

test("interfaces: what a file alone shows to be wrong is told with the place of the value", () => {
  const long = "a".repeat(108);
  const rows: [string, RegExp][] = [
    [
      '{ "nic": "tap:tap0123456789012345" }',
      /^\S+:1:21: nics\[0\]\.nic: tap: expected an interface's name of up to 15 bytes without .*, got "tap0123456789012345"$/,
    ],
    ['{ "nic": "tap:a/b" }', /:1:21: nics\[0\]\.nic: tap: expected an interface's name/],
    ['{ "nic": "a-name-that-is-too-long" }', /:1:21: nics\[0\]\.nic: xdp: expected an interface/],
    ['{ "nic": "bogus:eth1" }', /:1:21: nics\[0\]\.nic: expected a device like tap:tap0, got "bog/],
    [`{ "nic": "memif:/${long}" }`, /:1:21: .*memif: expected a socket path of 1 to 107 bytes/],
    ['{ "nic": "memif:/a,ringSize=7" }', /:1:21: .*memif: expected a ringSize that is a power/],
    ['{ "nic": "memif:/a,queuePairs=70" }', /:1:21: .*memif: expected queuePairs from 1 to 64, g/],
    ['{ "nic": "memif:/a,mtuBytes=7" }', /:1:21: .*memif: expected mtuBytes from 68 to 65521, go/],
    [`{ "nic": "memif:/a,secret=${long}" }`, /:1:21: .*memif: expected a secret of up to 24 byte/],
    [
      '{ "nic": "tap0", "xdp": "a.o,program" }',
      /:1:36: nics\[0\]\.xdp: xdp: expected program=NAME/,
    ],
    [
      '{ "nic": "tap0" }, { "nic": "tap:tap0" }',
      /:1:40: nics\[1\]\.nic: expected each interface once; tap0 is nics\[0\]\.nic already$/,
    ],
    [
      '{ "nic": "tap0", "addresses": ["10.5.0.2/24", "10.5.0.2/16"] }',
      /:1:58: nics\[0\]\.addresses\[1\]: expected each address once; 10\.5\.0\.2 is nics\[0\]\.addresses\[0\] already$/,
    ],
    [
      '{ "nic": "tap0", "addresses": ["fd00::2/64"], "mtuBytes": 1279 }',
      /:1:43: nics\[0\]\.addresses\[0\]: expected no IPv6 address: IPv6 needs an MTU of 1280, and mtuBytes is 1279; got fd00::2\/64$/,
    ],
    [
      '{ "nic": "tap0", "addresses": ["10.5.0.2/24"], "gateway": "10.6.0.1" }',
      /:1:70: nics\[0\]\.gateway: gateway 10\.6\.0\.1: expected one on the network of one of the addresses \(10\.5\.0\.2\/24\)$/,
    ],
    ['{ "nic": "tap0", "gateway": "10.6.0.1" }', /:1:40: .*of the addresses \(there is none\)$/],
    [
      '{ "nic": "tap0", "addresses": ["10.5.0.2/24"], "gateway": "10.5.0.255" }',
      /:1:70: .*expected a router's address; got 10\.5\.0\.255, the broadcast address of 10\.5\.0\.0\/24$/,
    ],
    [
      '{ "nic": "tap0", "addresses": ["10.5.0.2/24"], "gateway": "10.5.0.2" }',
      /:1:70: .*expected a router's address; got 10\.5\.0\.2, Millrace's own$/,
    ],
    [
      '{ "nic": "tap0", "addresses": ["10.5.0.2/24"], "routes": [{ "to": "10.9.0.1/16", "via": "10.5.0.1" }] }',
      /:1:78: nics\[0\]\.routes\[0\]\.to: expected a network like 10\.9\.0\.0\/16; got 10\.9\.0\.1\/16, an address in it$/,
    ],
    [
      '{ "nic": "tap0", "addresses": ["10.5.0.2/24"], "routes": [{ "to": "10.9.0.0/16", "via": "10.6.0.1" }] }',
      /:1:100: nics\[0\]\.routes\[0\]\.via: gateway 10\.6\.0\.1: expected one on the network/,
    ],
    [
      '{ "nic": "eth1", "addresses": ["10.5.0.2/24"], "mtuBytes": 9000 }',
      /:1:42: nics\[0\]\.addresses: eth1 is shared with the kernel: its addresses are the kernel's .*\n\S+:1:71: nics\[0\]\.mtuBytes: eth1 is shared with the kernel: its MTU is the kernel's/,
    ],
  ];
  for (const [nics, expected] of rows) {
    assert.match(problems(`{ "nics": [${nics}] }`).join("\n"), expected);
  }
  const fine = [
    '{ "nic": "tap0", "addresses": ["fd00::2/64"], "gateway": "fe80::1" }',
    '{ "nic": "eth1", "gateway": "10.5.0.1" }',
    '{ "nic": "tap:a%d" }, { "nic": "tap:a%d" }',
    '{ "nic": "xdp:eth1,queue=1" }, { "nic": "xdp:eth1,queue=2" }',
    '{ "nic": "memif:/run/a.sock,id=1" }, { "nic": "memif:/run/a.sock,id=2" }',
  ];
  for (const nics of fine) assert.deepEqual(problems(`{ "nics": [${nics}] }`), []);
});
