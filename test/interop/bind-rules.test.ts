/**
 * Who may bind and listen where: random groups of sockets on one port, the same on this machine's
 * Linux kernel (through Python) and on a Millrace stack. Every bind and listen must give the same
 * error number.
 *
 * Deviation: for UDP, Linux stops at the newest overlapping socket that shares SO_REUSEPORT and does
 * not look at older ones without it; we look at all. So the members of a UDP group agree on it here.
 * For TCP, Linux remembers the last SO_REUSEPORT bind of a port and lets an equal one through without
 * a look at the others; we refuse those conflicts. Such groups are rare, and ours is the stricter answer.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { EADDRINUSE } from "../../src/base/errno.js";
import { IpAddress } from "../../src/base/ip-address.js";
import { Random } from "../../src/base/random.js";
import { createPool } from "../../src/socket/create-host.js";
import { Family } from "../../src/socket/linux-options.js";
import { Stack } from "../../src/socket/stack.js";
import { enterNamespace } from "../support/namespace.js";

await enterNamespace(import.meta.url, "python3");

interface Attempt {
  readonly kind: "tcp" | "udp";
  readonly family: 4 | 6;
  readonly address: string;
  readonly reuseAddress: number;
  readonly reusePort: number;
  readonly v6only: number;
  readonly listens: boolean;
}

const GROUPS = 400;
const FIRST_PORT = 21_000;
const ADDRESSES4 = ["0.0.0.0", "127.0.0.1", "127.0.0.2"];
const ADDRESSES6 = ["::", "::1", "::ffff:127.0.0.1"];

const LINUX = `
import json, socket, sys
def run(a, port, keep):
    s = socket.socket(socket.AF_INET if a["family"] == 4 else socket.AF_INET6,
                      socket.SOCK_STREAM if a["kind"] == "tcp" else socket.SOCK_DGRAM)
    keep.append(s)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, a["reuseAddress"])
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, a["reusePort"])
    if a["family"] == 6: s.setsockopt(41, 26, a["v6only"])
    try:
        s.bind((a["address"], port))
        if a["listens"]: s.listen(1)
    except OSError as e:
        return -e.errno
    return 0
out = []
for i, group in enumerate(json.load(sys.stdin)):
    keep = []
    out.append([run(a, ${FIRST_PORT} + i, keep) for a in group])
    for s in keep: s.close()
print(json.dumps(out))
`;

function groups(): Attempt[][] {
  const random = new Random(7);
  const bit = (): number => random.below(2);
  return Array.from({ length: GROUPS }, () => {
    const kind = random.chance(0.7) ? "tcp" : "udp";
    const groupPort = bit();
    return Array.from({ length: 2 + random.below(3) }, (): Attempt => {
      const family = random.chance(0.5) ? 4 : 6;
      const addresses = family === 4 ? ADDRESSES4 : ADDRESSES6;
      return {
        kind,
        family,
        address: addresses[random.below(3)]!,
        reuseAddress: bit(),
        reusePort: kind === "udp" ? groupPort : bit(),
        v6only: family === 6 ? bit() : 0,
        listens: kind === "tcp" && random.chance(0.5),
      };
    });
  });
}

function attempt(stack: Stack, a: Attempt, port: number): number {
  const family = a.family === 4 ? Family.INET : Family.INET6;
  const socket = a.kind === "tcp" ? stack.tcpSocket(family)! : stack.udpSocket(family);
  socket.set("SO_REUSEADDR", a.reuseAddress);
  socket.set("SO_REUSEPORT", a.reusePort);
  if (a.family === 6) socket.set("IPV6_V6ONLY", a.v6only);
  const result = socket.bind(IpAddress.parse(a.address), port);
  return result === 0 && a.listens && "listen" in socket ? socket.listen(1) : result;
}

test("bind and listen give the error numbers of this machine's kernel", () => {
  const wanted = groups();
  const linux = spawnSync("python3", ["-c", LINUX], { input: JSON.stringify(wanted) });
  assert.equal(linux.status, 0, String(linux.stderr));
  const expected = JSON.parse(linux.stdout.toString()) as number[][];
  const stack = new Stack({ pool: createPool({ smallSlots: 64, bigSlots: 64 }), seed: 1 });
  const wrong: string[] = [];
  let stricter = 0;
  for (const [i, group] of wanted.entries()) {
    const got = group.map((a) => attempt(stack, a, FIRST_PORT + i));
    if (JSON.stringify(got) === JSON.stringify(expected[i])) continue;
    if (got.some((r, k) => r === -EADDRINUSE && expected[i]![k] === 0)) stricter++;
    else wrong.push(`${JSON.stringify(group, null, 1)}\n  Linux ${expected[i]}, here ${got}`);
  }
  assert.equal(wrong.length, 0, `${wrong.length} groups differ; the first:\n${wrong[0]}`);
  assert.ok(stricter <= GROUPS / 100, `${stricter} groups are refused that Linux allows`);
});
