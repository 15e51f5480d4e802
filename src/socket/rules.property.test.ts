/** Files of random rules, printed, parsed and asked, against the obvious model: integers and a loop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { IpAddress } from "../base/ip-address.js";
import { ProgramRules, ROLES, type Role } from "./rules.js";
import { parseRules } from "./rules-parser.js";

interface Place {
  readonly is6: boolean;
  readonly address: bigint;
  readonly port: number;
}

interface Range {
  readonly is6: boolean;
  /** null: any address. */
  readonly address: bigint | null;
  readonly bits: number;
  /** null: any port. */
  readonly ports: readonly [number, number] | null;
}

interface ModelRule {
  readonly program: string;
  readonly id: string;
  readonly transport: string;
  readonly role: Role;
  readonly first: Range;
  readonly second: Range | null;
}

/** Few values, so that rules and questions meet. */
const v4 = fc.constantFrom(0x0a000001n, 0x0a000002n, 0x0a010001n, 0xc0a80101n);
const v6 = fc.constantFrom((0xfd00n << 112n) | 1n, (0xfd00n << 112n) | 2n, (0xfd01n << 112n) | 1n);
const port = fc.constantFrom(1, 53, 80, 81, 1000, 65_535);

const place: fc.Arbitrary<Place> = fc.oneof(
  fc.record({ is6: fc.constant(false), address: v4, port }),
  fc.record({ is6: fc.constant(true), address: v6, port }),
);

const ports = fc.option(
  fc.tuple(port, port).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
);
const range: fc.Arbitrary<Range> = fc.oneof(
  fc.record({
    is6: fc.constant(false),
    address: fc.option(v4),
    bits: fc.constantFrom(0, 8, 15, 24, 31, 32),
    ports,
  }),
  fc.record({
    is6: fc.constant(true),
    address: fc.option(v6),
    bits: fc.constantFrom(0, 8, 16, 64, 127, 128),
    ports,
  }),
);

const rule: fc.Arbitrary<ModelRule> = fc.record({
  program: fc.constantFrom("*", "nc", "n?", "nginx"),
  id: fc.constantFrom("*", "B1", "B2"),
  transport: fc.constantFrom("os", "os", "millrace", "vma", "xlio", "*"),
  role: fc.constantFrom(...ROLES),
  first: range,
  second: fc.option(range),
});

const canHaveTwo = (role: Role): boolean => role === "tcp_client" || role === "udp_connect";

function addressText(is6: boolean, address: bigint): string {
  const words = [96n, 64n, 32n, 0n].map((shift) => Number((address >> shift) & 0xffffffffn));
  const [a, b, c, d] = words as [number, number, number, number];
  return (is6 ? new IpAddress(a, b, c, d) : IpAddress.v4(d)).toString();
}

function rangeText(r: Range, space: string): string {
  const host = r.address === null ? "*" : addressText(r.is6, r.address);
  const whole = r.address !== null && r.is6 ? `[${host}]` : host;
  const prefix = r.address === null ? "" : `/${r.bits}`;
  const [first, last] = r.ports ?? [0, 0];
  const portText = first === last ? `${first}` : `${first}-${last}`;
  return `${whole}${prefix}${space}:${space}${r.ports === null ? "*" : portText}`;
}

function ruleText(r: ModelRule, space: string): string {
  const second =
    r.second !== null && canHaveTwo(r.role) ? `:${space}${rangeText(r.second, space)}` : "";
  return `application-id ${r.program} ${r.id}\n${space}use ${r.transport} ${r.role} ${rangeText(r.first, space)}${second}`;
}

function isInside(r: Range, p: Place): boolean {
  if (r.ports !== null && (p.port < r.ports[0] || p.port > r.ports[1])) return false;
  if (r.address === null) return true;
  if (r.is6 !== p.is6) return false;
  const shift = BigInt((r.is6 ? 128 : 32) - r.bits);
  return r.address >> shift === p.address >> shift;
}

/** What the rules mean, said as plainly as can be. */
function model(
  rules: readonly ModelRule[],
  [program, id]: readonly [string, string],
  role: Role,
  local: Place,
  peer: Place,
): boolean {
  for (const r of rules) {
    const isProgram = r.program === "n?" ? /^n.$/.test(program) : r.program === program;
    if (r.program !== "*" && !isProgram) continue;
    if (r.id !== "*" && r.id !== id) continue;
    if (r.role !== role) continue;
    if (!isInside(r.first, role === "tcp_server" || role === "udp_receiver" ? local : peer))
      continue;
    if (canHaveTwo(role) && r.second !== null && !isInside(r.second, local)) continue;
    return r.transport !== "os";
  }
  return peer.port !== 53 || role === "tcp_server" || role === "udp_receiver";
}

const endpoint = (p: Place) => ({
  address: IpAddress.parse(addressText(p.is6, p.address)),
  port: p.port,
});

test("the first rule that matches in all its parts decides, and names its line", () => {
  const program = fc.constantFrom("nc", "nx", "nginx", "curl");
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 8 }),
      fc.tuple(program, fc.constantFrom("", "B1", "B2")),
      fc.constantFrom(...ROLES),
      place,
      place,
      fc.constantFrom("", " ", "\t "),
      (rules, who, role, local, peer, space) => {
        const text = rules.map((r) => ruleText(r, space)).join(" # why\r\n");
        const verdict = new ProgramRules(parseRules(text, "f"), ...who).decide(
          role,
          endpoint(local),
          endpoint(peer),
        );
        assert.equal(verdict.accelerate, model(rules, who, role, local, peer), text);
        const line = /^f:(\d+): use /.exec(verdict.reason)?.[1];
        if (line !== undefined) assert.equal(rules[Number(line) / 2 - 1]?.role, role);
      },
    ),
    { numRuns: 500 },
  );
});
