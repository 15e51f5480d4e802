/**
 * TCP connections that the kernel has at a port which Millrace claims: theirs is the kernel's, in every
 * state, and what begins anew is Millrace's.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { put16 } from "../../src/base/bytes.js";
import { ANY4, ANY6, IpAddress } from "../../src/base/ip-address.js";
import { background, enterNamespace, needsRoot } from "../support/namespace.js";
import { SteeringRun } from "../support/steering-run.js";

await enterNamespace(import.meta.url, "python3");
const options = { skip: needsRoot() };

const TCP = 6;
const [SYN, SYN_ACK, ACK, RST] = [0x02, 0x12, 0x10, 0x04] as const;

/**
 * At port 80 a listener, a connection that is open, one whose end has been waited for, and, where the listener defers
 * (port 81), one whose handshake has begun. Says the clients' ports.
 */
const CONNECTIONS = `
import socket, sys, time
for host in "127.0.0.1", "::1":
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    keep = globals().setdefault("keep", [])
    def serve(port):
        s = socket.create_server((host, port), family=family)
        keep.append(s)
        return s
    def ask(port):
        c = socket.create_connection((host, port))
        keep.append(c)
        return c, c.getsockname()[1]
    listener, deferring = serve(80), serve(81)
    deferring.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)
    _, open_port = ask(80)
    keep.append(listener.accept()[0])
    over, over_port = ask(80)
    there = listener.accept()[0]
    there.close()
    over.recv(1)
    over.close()
    _, begun_port = ask(81)
    print("ports", host, open_port, over_port, begun_port, flush=True)
print("ready", flush=True)
sys.stdin.read()
`;

/** A segment without data to a port of the host's, from that host. */
function segment(host: IpAddress, from: number, to: number, flags: number): Uint8Array {
  const isV4 = host.isV4;
  const frame = new Uint8Array(14 + (isV4 ? 20 : 40) + 20);
  put16(frame, 12, isV4 ? 0x0800 : 0x86dd);
  if (isV4) {
    frame[14] = 0x45;
    put16(frame, 16, 40);
    frame[23] = TCP;
    host.write4(frame, 26);
    host.write4(frame, 30);
  } else {
    frame[14] = 0x60;
    put16(frame, 18, 20);
    frame[20] = TCP;
    host.write6(frame, 22);
    host.write6(frame, 38);
  }
  const at = frame.length - 20;
  put16(frame, at, from);
  put16(frame, at + 2, to);
  frame[at + 12] = 0x50;
  frame[at + 13] = flags;
  return frame;
}

test("the kernel's connections at a claimed port, in all states", options, async () => {
  const program = background("python3", "-c", CONNECTIONS);
  await program.waitFor(/ready/);
  for (const [, host, ...ports] of program.output.matchAll(/ports (\S+) (\d+) (\d+) (\d+)/g)) {
    const address = IpAddress.parse(host!);
    const [open, over, begun] = ports.map(Number) as [number, number, number];
    const run = new SteeringRun();
    const isTaken = (from: number, to: number, flags: number): boolean =>
      run.isTaken(segment(address, from, to, flags));
    for (const claimed of [address, address.isV4 ? ANY4 : ANY6]) {
      for (const port of [80, 81]) assert.equal(run.filter.addPort(TCP, claimed, port), 0);
      for (const flags of [ACK, RST, SYN_ACK, 0]) {
        assert.equal(isTaken(open, 80, flags), false, `${host}: open`);
        assert.equal(isTaken(over, 80, flags), false, `${host}: TIME_WAIT`);
        assert.equal(isTaken(begun, 81, flags), false, `${host}: SYN_RECV`);
        // There is nothing but a listener, or another port's.
        assert.equal(isTaken(1, 80, flags), true, `${host}: none`);
        assert.equal(isTaken(open, 81, flags), true, `${host}: another's`);
      }
      for (const from of [open, over, 1])
        assert.equal(isTaken(from, 80, SYN), true, `${host}: SYN`);
      for (const port of [80, 81]) run.filter.removePort(TCP, claimed, port);
    }
    assert.equal(run.counters.get("kernelFlows"), 2 * 4 * 3);
    // An exact claim has no need of the kernel.
    assert.equal(run.filter.addFlow(TCP, address, 80, address, open), 0);
    assert.equal(isTaken(open, 80, ACK), true);
    run.close();
  }
  await program.stop();
});
