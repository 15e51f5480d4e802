import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import { type Endpoint, ProgramRules, type Role, type Verdict } from "./rules.js";
import { parseRules, RulesError } from "./rules-parser.js";

/** `10.0.0.1:80`, `fd00::1:80`. */
function endpoint(text: string): Endpoint {
  const colon = text.lastIndexOf(":");
  return {
    address: IpAddress.parse(text.slice(0, colon)),
    port: Number(text.slice(colon + 1)),
  };
}

interface Asked {
  readonly program?: string;
  readonly id?: string;
  readonly local?: string;
  readonly peer?: string;
}

function ask(file: string, role: Role, asked: Asked): Verdict {
  const rules = new ProgramRules(parseRules(file, "r.conf"), asked.program ?? "nc", asked.id ?? "");
  const local = asked.local === undefined ? null : endpoint(asked.local);
  return rules.decide(role, local, asked.peer === undefined ? null : endpoint(asked.peer));
}

const isFast = (file: string, role: Role, asked: Asked): boolean =>
  ask(file, role, asked).accelerate;

/** All that is wrong with a file, as `line:column: text`. */
function problems(file: string): string[] {
  try {
    parseRules(file, "r.conf");
    return [];
  } catch (error) {
    assert.ok(error instanceof RulesError);
    assert.equal(error.file, "r.conf");
    return error.problems.map((p) => `${p.line}:${p.column}: ${p.text}`);
  }
}

/** The reference's own example. */
const MANUAL = `application-id tcp-lat B1
use vma tcp_client 192.168.1.0/24:*:*:*
use os tcp_server *:5001
use os udp_connect *:53
`;

test("the manual's example: only that program with that id, first match wins, the rest is accelerated", () => {
  const lat = { program: "tcp-lat", id: "B1" };
  assert.ok(isFast(MANUAL, "tcp_client", { ...lat, peer: "192.168.1.7:80" }));
  assert.deepEqual(ask(MANUAL, "tcp_server", { ...lat, local: "10.0.0.1:5001" }), {
    accelerate: false,
    reason: "r.conf:3: use os tcp_server *:5001",
  });
  assert.ok(isFast(MANUAL, "tcp_server", { ...lat, local: "10.0.0.1:5002" }));
  assert.ok(isFast(MANUAL, "tcp_server", { program: "tcp-lat", local: "10.0.0.1:5001" }));
  assert.ok(isFast(MANUAL, "tcp_server", { ...lat, program: "nc", local: "10.0.0.1:5001" }));
});

test("without a rule everything is accelerated, and the reason says that there was none", () => {
  assert.deepEqual(ask("", "tcp_server", { local: "0.0.0.0:80" }), {
    accelerate: true,
    reason: "no rule says otherwise",
  });
});

test("names are looked up by the kernel, unless a rule says otherwise", () => {
  const dns = { peer: "10.0.0.1:53" };
  for (const role of ["udp_connect", "udp_sender", "tcp_client"] as const) {
    assert.deepEqual(ask("", role, dns), {
      accelerate: false,
      reason: `built-in rule: use os ${role} *:53`,
    });
  }
  assert.ok(isFast("use millrace udp_connect *:53", "udp_connect", dns));
});

test("an earlier application-id without a matching rule does not hide a later one", () => {
  const file =
    "application-id * *\nuse os udp_connect *:53\napplication-id nc *\nuse os tcp_server *:80";
  assert.ok(!isFast(file, "tcp_server", { local: "0.0.0.0:80" }));
});

test("each role looks at its own endpoint", () => {
  const at = (role: Role): string => `use os ${role} 10.0.0.1:80`;
  for (const role of ["tcp_server", "udp_receiver"] as const) {
    assert.ok(!isFast(at(role), role, { local: "10.0.0.1:80", peer: "10.0.0.2:90" }));
    assert.ok(isFast(at(role), role, { local: "10.0.0.2:90", peer: "10.0.0.1:80" }));
  }
  for (const role of ["tcp_client", "udp_sender", "udp_connect"] as const) {
    assert.ok(!isFast(at(role), role, { local: "10.0.0.2:90", peer: "10.0.0.1:80" }));
    assert.ok(isFast(at(role), role, { local: "10.0.0.1:80", peer: "10.0.0.2:90" }));
  }
});

test("the second endpoint is the local one, and any where there is none", () => {
  const file = "use os tcp_client 10.0.0.0/8:*:192.168.0.0/16:1000-2000";
  const peer = "10.1.2.3:80";
  assert.ok(!isFast(file, "tcp_client", { peer, local: "192.168.3.4:1500" }));
  assert.ok(isFast(file, "tcp_client", { peer, local: "192.168.3.4:2001" }));
  assert.ok(isFast(file, "tcp_client", { peer, local: "192.169.3.4:1500" }));
  assert.ok(isFast(file, "tcp_client", { peer }));
  assert.ok(!isFast("use os tcp_client *:80:*:*", "tcp_client", { peer }));
});

test("host bits of a rule's prefix do not count", () => {
  assert.ok(!isFast("use os tcp_client 10.1.2.3/8:*", "tcp_client", { peer: "10.9.9.9:1" }));
});

test("IPv6: in brackets, prefix inside or outside; 0.0.0.0/0 is IPv4 only, * is both", () => {
  for (const prefix of ["[fd00::1]/64", "[fd00::1/64]"]) {
    const file = `use os tcp_server ${prefix}:80`;
    assert.ok(!isFast(file, "tcp_server", { local: "fd00::9:80" }));
    assert.ok(isFast(file, "tcp_server", { local: "fd01::9:80" }));
  }
  assert.ok(isFast("use os tcp_server 0.0.0.0/0:*", "tcp_server", { local: "fd00::9:80" }));
  assert.ok(isFast("use os tcp_server [::]/0:*", "tcp_server", { local: "10.0.0.1:80" }));
  assert.ok(!isFast("use os tcp_server *:*", "tcp_server", { local: "fd00::9:80" }));
  assert.ok(!isFast("use os tcp_server *:*", "tcp_server", { local: "10.0.0.1:80" }));
});

test("transports: millrace, its synonyms vma and xlio, and * accelerate; os does not", () => {
  for (const transport of ["millrace", "vma", "xlio", "*"]) {
    assert.ok(isFast(`use ${transport} tcp_server *:*`, "tcp_server", { local: "0.0.0.0:1" }));
  }
});

test("program names match as in the shell, ids literally", () => {
  const file = "application-id ng*x my#id\nuse os tcp_server *:*";
  const local = "0.0.0.0:80";
  assert.ok(!isFast(file, "tcp_server", { program: "nginx", id: "my#id", local }));
  assert.ok(isFast(file, "tcp_server", { program: "nginx", id: "my", local }));
  assert.ok(!isFast(file, "tcp_server", { program: "nginx", id: "*", local }));
  assert.ok(isFast(file, "tcp_server", { program: "wrk", id: "my#id", local }));
});

test("what existing files may look like: CRLF, a BOM, comments, spaces at colons, no last newline, two a line", () => {
  const file =
    "\ufeff# rules\r\n\r\n  use os tcp_server 10.0.0.1 : 80 # web\r\nuse os udp_receiver *:1 use os udp_sender *:2";
  assert.equal(parseRules(file, "r.conf").length, 3);
  assert.deepEqual(
    parseRules("log destination stderr min-level 3\nlog destination file /tmp/x\nlog\n", "r"),
    [],
  );
});

test("libvma's traps are mistakes: each with line, column and what was expected", () => {
  const PORT = "expected a port from 1 to 65535, a range like 80-90, or *";
  const ADDRESS = "expected an address: *, four numbers from 0 to 255, or IPv6 in brackets";
  const rows: [string, string][] = [
    ["use os tcp_server *:90000", `21: ${PORT}; got "90000"`],
    ["use os tcp_server *:65536", `21: ${PORT}; got "65536"`],
    ["use os tcp_server *:0", `21: ${PORT}; got "0"`],
    ["use os tcp_server *:080", `21: ${PORT}; got "080"`],
    ["use os tcp_server *:80-90-95", `21: ${PORT}; got "80-90-95"`],
    ["use os tcp_server *:http", `21: ${PORT}; got "http"`],
    ["use os tcp_server *:", `21: ${PORT}; the line ends here`],
    [
      "use os tcp_server *:20-10",
      '21: expected a range whose end is not below its start (10-20?); got "20-10"',
    ],
    ["use os tcp_server 10.0.0.0/33:*", '28: expected a prefix length from 0 to 32; got "33"'],
    ["use os tcp_server 10.0.0.0/256:*", '28: expected a prefix length from 0 to 32; got "256"'],
    ["use os tcp_server [fd00::]/129:*", '28: expected a prefix length from 0 to 128; got "129"'],
    ["use os tcp_server 10.0.0.256:*", `19: ${ADDRESS}; got "10.0.0.256:*"`],
    ["use os tcp_server 010.0.0.1:*", `19: ${ADDRESS}; got "010.0.0.1:*"`],
    ["use os tcp_server 10.0.0:*", `19: ${ADDRESS}; got "10.0.0:*"`],
    ["use os tcp_server localhost:80", `19: ${ADDRESS}; got "localhost:80"`],
    [
      "use os tcp_server fd00::1:80",
      '19: expected an IPv6 address in brackets, like [fd00::1]:80; got "fd00::1:80"',
    ],
    [
      "use os tcp_server [10.0.0.1]:80",
      '20: expected an IPv6 address between the brackets; got "10.0.0.1]:80"',
    ],
    ["use os tcp_server [fd00::1:80", '30: expected "]"; the line ends here'],
    ["use os tcp_server 10.0.0.1", '27: expected ":" and a port, a range or *; the line ends here'],
    [
      "use os tcp_server *:80:*:*",
      "23: expected the end of the rule: tcp_server has one address and port, the local one",
    ],
    [
      "use os udp_sender *:80:*:*",
      "23: expected the end of the rule: udp_sender has one address and port, the remote one",
    ],
    ["use os tcp_client *:80:*:*:*", '27: expected the end of the line; got ":*"'],
    [
      "use sdp tcp_server *:*",
      '5: expected a transport: millrace (or vma, xlio, *) or os; got "sdp"',
    ],
    ["USE os tcp_server *:*", '1: expected application-id, use, log or a comment ("#"); got "USE"'],
    [
      "use os tcp-server *:*",
      '8: expected a role: tcp_server, tcp_client, udp_sender, udp_receiver, udp_connect; got "tcp-server"',
    ],
    [
      "use os",
      "7: expected a role: tcp_server, tcp_client, udp_sender, udp_receiver, udp_connect; the line ends here",
    ],
    ["application-id nc", "18: expected an application id or *; the line ends here"],
    ["application-id nc a b", '21: expected the end of the line; got "b"'],
    ["log destination printer", '17: expected stderr, syslog or file NAME; got "printer"'],
    ["log min-level high", '15: expected a level from 0 to 9; got "high"'],
  ];
  for (const [line, problem] of rows) {
    assert.deepEqual(problems(`# comment\n${line}\n`), [`2:${problem}`], line);
  }
});

test("a file with mistakes is refused as a whole, and tells them all", () => {
  const file = "use os tcp_server *:0\nuse os tcp_server *:1\nuse os\n";
  assert.deepEqual(
    problems(file).map((text) => text.slice(0, 4)),
    ["1:21", "3:7:"].map((text) => text.slice(0, 4)),
  );
  assert.throws(
    () => parseRules(file, "/etc/rules"),
    /^RulesError: \/etc\/rules:1:21: .*\n\/etc\/rules:3:7: /,
  );
});
