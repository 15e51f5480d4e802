/**
 * Multicast of unmodified programs: between two under Millrace, with and without loop, and with the kernel's
 * programs over a shared interface and over one of Millrace's own.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { enterNamespace, ip, Namespace, needsRoot } from "../support/namespace.js";
import { accelerated, plain, type Side } from "../support/nic-programs.js";
import { type Running, RunWorld } from "../support/run-world.js";

await enterNamespace(import.meta.url, "ip", "python3");
const PYTHON = "/usr/bin/python3";
const GROUP = "239.7.7.7";
const GROUP6 = "ff15::77";

/** Joins (group, port, interface's address or name), prints what comes and from where, answers the sender. */
const MEMBER = `
import socket, struct, sys
group, port, at, leaves = sys.argv[1], int(sys.argv[2]), sys.argv[3], len(sys.argv) > 4
six = ":" in group
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((group if not six else "", port))
if six:
    member = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", socket.if_nametoindex(at) if at else 0)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
else:
    member = socket.inet_aton(group) + socket.inet_aton(at)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
print("joined", flush=True)
while True:
    data, peer = s.recvfrom(2000)
    print("got", data.decode(), flush=True)
    if data == b"leave":
        s.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, member)
        print("left", flush=True)
    if data == b"end": break
`;

/** Sends each word to the group. Options before: loop=0, ttl=N, if=ADDRESS, member (it has joined, too). */
const SENDER = `
import socket, struct, sys, time
group, port, at = sys.argv[1], int(sys.argv[2]), sys.argv[3]
six = ":" in group
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
words, own = [], None
for word in sys.argv[4:]:
    if word == "loop=0":
        if six: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        else: s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    elif word == "member":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", port)); own = s
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(at))
    else: words.append(word)
if six and at: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, struct.pack("@I", socket.if_nametoindex(at)))
elif not six: s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(at))
for word in words:
    s.sendto(word.encode(), (group, port))
if own is not None:
    s.settimeout(20)
    print("own", s.recv(100).decode(), flush=True)
`;

const start = (side: Side, script: string, ...args: string[]): Running =>
  side.world.start([...side.prefix, PYTHON, "-c", script, ...args], null);

async function joined(
  side: Side,
  port: number,
  group = GROUP,
  at = side.address,
): Promise<Running> {
  const member = start(side, MEMBER, group, `${port}`, at);
  await member.said(/^joined$/m);
  return member;
}

async function send(side: Side, port: number, ...words: string[]): Promise<string> {
  return await side.world.output(start(side, SENDER, GROUP, `${port}`, side.address, ...words));
}

const received = ({ out }: Running): string[] =>
  out.split("\n").flatMap((line) => (line.startsWith("got ") ? [line.slice(4)] : []));

test("two programs hear a third, and a sender that has joined hears itself", async () => {
  const world = RunWorld.open();
  const here = accelerated(world, "10.77.0.1");
  const [first, second] = [await joined(here, 7700), await joined(here, 7700)];
  await send(here, 7700, "one", "loop=0", "two", "end");
  // loop=0 is set before the first word is sent: nobody here hears any of them.
  assert.equal(await send(here, 7700, "three", "member"), "own three\n");
  await send(here, 7700, "end");
  await Promise.all([first.ended, second.ended]);
  assert.deepEqual(
    [received(first), received(second)],
    [
      ["three", "end"],
      ["three", "end"],
    ],
  );
  const other = accelerated(world, "10.77.0.5", "--address", "10.77.0.5");
  const third = await joined(here, 7701);
  const own = await joined(other, 7701);
  await send(other, 7701, "from another address", "end");
  await Promise.all([third.ended, own.ended]);
  assert.deepEqual(received(third), ["from another address", "end"]);
  assert.deepEqual(received(own), ["from another address", "end"]);
  const six = await joined(here, 7706, GROUP6, "mr0");
  await world.output(start(here, SENDER, GROUP6, "7706", "mr0", "over IPv6", "end"));
  await six.ended;
  assert.deepEqual(received(six), ["over IPv6", "end"]);
  await world.end();
});

/** Both directions, both ends with members, and a member that leaves. */
async function exchange(near: Side, far: Side): Promise<void> {
  const members = [await joined(near, 7702), await joined(near, 7702), await joined(far, 7702)];
  await near.world.has(({ localPort }) => localPort === 7702, "a member", members[0]);
  await send(far, 7702, "from far");
  for (const member of members) await member.said(/got from far/);
  await send(near, 7702, "from near");
  for (const member of members) await member.said(/got from near/);
  await send(near, 7702, "loop=0", "to far only");
  await members[2]!.said(/got to far only/);
  await send(far, 7702, "end");
  await Promise.all(members.map((member) => member.ended));
  const near2 = ["from far", "from near", "end"];
  assert.deepEqual(members.map(received), [
    near2,
    near2,
    ["from far", "from near", "to far only", "end"],
  ]);
  const leaver = await joined(near, 7703);
  await send(far, 7703, "leave");
  await leaver.said(/^left$/m);
  await send(far, 7703, "unheard");
  const again = await joined(near, 7703);
  await send(far, 7703, "end");
  await again.ended;
  // As Linux has it (IP_MULTICAST_ALL): what others have joined comes to whoever is bound there.
  assert.deepEqual([received(leaver), received(again)], [["leave", "end"], ["end"]]);
  await leaver.stop();
}

test("with Linux over a shared interface", { skip: needsRoot() }, async () => {
  const world = RunWorld.open();
  const far = Namespace.create();
  // The index is the kernel's, whatever it is.
  const pair = ["type", "veth", "peer", "name", "far", "netns", far.name];
  ip("link", "add", "name", "eth0", "index", "42", ...pair);
  ip("address", "add", "10.7.0.1/24", "dev", "eth0");
  ip("address", "add", "fd07::1/64", "dev", "eth0", "nodad");
  ip("link", "set", "eth0", "up");
  far.run("ip", "address", "add", "10.7.0.2/24", "dev", "far");
  far.run("ip", "address", "add", "fd07::2/64", "dev", "far", "nodad");
  far.run("ip", "link", "set", "far", "up");
  const near = accelerated(world, "10.7.0.1", "--nic", "eth0");
  const peer = plain(world, "10.7.0.2", far);
  await exchange(near, peer);
  const six = await joined(near, 7704, GROUP6, "eth0");
  await world.output(start(peer, SENDER, GROUP6, "7704", "far", "over IPv6", "end"));
  await six.ended;
  assert.deepEqual(received(six), ["over IPv6", "end"]);
  const back = await joined(peer, 7705, GROUP6, "far");
  await world.output(start(near, SENDER, GROUP6, "7705", "eth0", "over IPv6", "end"));
  await back.ended;
  assert.deepEqual(received(back), ["over IPv6", "end"]);
  await world.end();
  far.close();
});

test("with Linux over a TAP of Millrace's own", { skip: needsRoot() }, async () => {
  const world = RunWorld.open();
  const options = ["--nic", "tap0", "--address", "10.8.0.2/24"];
  await world.run(...options, "true"); // the engine has the interface from now on
  // Its other end is another machine's: here the kernel would hear the group as well.
  const far = Namespace.create();
  ip("link", "set", "tap0", "netns", far.name);
  far.run("ip", "address", "add", "10.8.0.1/24", "dev", "tap0");
  far.run("ip", "link", "set", "tap0", "up");
  await exchange(accelerated(world, "10.8.0.2", ...options), plain(world, "10.8.0.1", far));
  await world.end();
  far.close();
});
