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
  assert.deepEqual(config, {
    nics: [
      {
        nic: "eth1",
        addresses: [],
        gateway: null,
        routes: [],
        mtuBytes: null,
        xdp: null,
        place: { file: "/etc/millrace/e.json", line: 5, column: 18 },
      },
      {
        nic: "tap:tap0",
        addresses: ["10.0.0.2/24", "fd00::2/64"],
        gateway: "10.0.0.1",
        routes: [{ to: "10.9.0.0/16", via: "10.0.0.9" }],
        mtuBytes: 9000,
        xdp: "/etc/millrace/acl.o,map:denied=/etc/millrace/denied.json",
        place: { file: "/etc/millrace/e.json", line: 6, column: 18 },
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
