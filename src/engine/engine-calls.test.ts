import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ERROR_BYTES,
  ErrorAt,
  INTERFACE_BYTES,
  InterfaceAt,
  Kind,
  Op,
  OpenedFor,
  SocketAt,
  Status,
} from "../ring/engine-layout.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import type { TestClient } from "./test-client-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";

const ENOPROTOOPT = 92;
const EINVAL = 22;
const EBADF = 9;
const ENOENT = 2;
const ENODEV = 19;
const ECONNREFUSED = 111;
const EISCONN = 106;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const ints = (...values: number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer);
const int = (data: Uint8Array): number => new DataView(data.buffer).getInt32(0, true);

function udp(client: TestClient, port = 0): TestSocket {
  return client.open({ kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0", ownPort: port });
}

/** A connection of one program with itself. */
function loop(rig: EngineRig, client: TestClient): { a: TestSocket; b: TestSocket } {
  const l = client.open({ kind: Kind.TCP, at: OpenedFor.LISTEN, own: "0.0.0.0", ownPort: 9 });
  l.call(Op.LISTEN, [4]);
  const a = client.open({ kind: Kind.TCP, at: OpenedFor.CONNECT, peer: "10.77.0.1", peerPort: 9 });
  a.callWith(Op.CONNECT, "10.77.0.1", 9);
  let b: TestSocket | null = null;
  rig.until(() => {
    b ??= client.accept(l);
    return b !== null && (a.status & Status.CONNECTED) !== 0;
  });
  return { a, b: b! };
}

test("options: integers, structures, names, and Linux's errors", () => {
  withEngine((rig) => {
    const client = rig.client();
    const { a } = loop(rig, client);
    const set = (s: TestSocket, level: number, option: number, value: Uint8Array): number =>
      s.call(Op.SETSOCKOPT, [level, option], value).result;
    const get = (s: TestSocket, level: number, option: number, room = 256): Uint8Array | number => {
      const { result, data } = s.call(Op.GETSOCKOPT, [level, option, room]);
      return result < 0 ? result : data;
    };
    assert.equal(set(a, 6, 1, ints(1)), 0); // TCP_NODELAY
    assert.deepEqual(get(a, 6, 1), ints(1));
    assert.deepEqual(get(a, 6, 1, 2), ints(1).subarray(0, 2));
    assert.equal(set(a, 6, 1, bytes("abc")), -EINVAL);
    assert.equal(set(a, 6, 99, ints(1)), -ENOPROTOOPT);
    assert.equal(set(a, 1, 13, ints(1, 5)), 0); // SO_LINGER
    assert.deepEqual(get(a, 1, 13), ints(1, 5));
    assert.equal(set(a, 1, 13, ints(1)), -EINVAL);
    const timeout = ints(3, 0, 500, 0); // SO_RCVTIMEO, a timeval
    assert.equal(set(a, 1, 20, timeout), 0);
    assert.deepEqual(get(a, 1, 20), timeout);
    assert.equal(set(a, 6, 13, bytes("reno")), 0); // TCP_CONGESTION
    assert.equal(Buffer.from(get(a, 6, 13) as Uint8Array).toString(), "reno".padEnd(16, "\0"));
    assert.equal(set(a, 6, 13, bytes("bbr")), -ENOENT);
    assert.equal(set(a, 1, 25, bytes("eth9")), -ENODEV); // SO_BINDTODEVICE
    assert.equal(set(a, 1, 25, bytes("mr0")), 0);
    assert.equal(Buffer.from(get(a, 1, 25) as Uint8Array).toString(), "mr0\0");
    assert.deepEqual(get(a, 1, 39), ints(2)); // SO_DOMAIN
    const u = udp(client);
    assert.equal(set(u, 0, 2, new Uint8Array([9])), 0); // IP_TTL in one byte
    assert.deepEqual(get(u, 0, 2), ints(9));
    assert.deepEqual(get(u, 0, 2, 1), new Uint8Array([9]));
    assert.equal(client.call(Op.GETSOCKOPT, 4_000, [1, 3, 4]).result, -EBADF);
  });
});

test("TCP_INFO is what Linux lays out", () => {
  withEngine((rig) => {
    const client = rig.client();
    const { a, b } = loop(rig, client);
    a.send(bytes("0123456789"));
    rig.read(b, 10);
    const { result, data } = a.call(Op.GETSOCKOPT, [6, 11, 512]);
    assert.equal(result, 0);
    assert.equal(data.length, 248);
    const info = new DataView(data.buffer, data.byteOffset);
    assert.equal(info.getUint8(0), 1); // ESTABLISHED
    assert.ok(info.getUint32(8, true) >= 200_000, "rto in microseconds");
    assert.ok(info.getUint32(16, true) > 500, "mss");
    assert.equal(info.getBigUint64(200, true), 10n); // bytes sent
    assert.equal(b.call(Op.GETSOCKOPT, [6, 11, 104]).data.length, 104);
  });
});

test("groups: members hear what is sent to them, the sender too unless it says otherwise", () => {
  withEngine((rig) => {
    const one = rig.client({ address: "10.77.0.2" });
    const two = rig.client({ address: "10.77.0.3" });
    const a = udp(one, 6_000);
    const b = udp(two, 6_000);
    const mreq = Uint8Array.of(239, 1, 2, 3, 0, 0, 0, 0);
    for (const s of [a, b]) assert.equal(s.call(Op.SETSOCKOPT, [0, 35], mreq).result, 0);
    a.sendTo(bytes("all"), "239.1.2.3", 6_000);
    assert.equal(rig.datagram(b).from, "10.77.0.2");
    assert.equal(Buffer.from(rig.datagram(a).data).toString(), "all");
    assert.equal(a.call(Op.SETSOCKOPT, [0, 34], ints(0)).result, 0); // IP_MULTICAST_LOOP
    a.sendTo(bytes("quiet"), "239.1.2.3", 6_000);
    b.sendTo(bytes("loud"), "239.1.2.3", 6_000);
    assert.equal(Buffer.from(rig.datagram(a).data).toString(), "loud");
    assert.equal(b.call(Op.SETSOCKOPT, [0, 36], mreq).result, 0); // IP_DROP_MEMBERSHIP
  });
});

test("errors: a refusal is pending, and in the error queue when that was asked for", () => {
  withEngine((rig) => {
    const client = rig.client();
    const u = client.open({
      kind: Kind.UDP,
      at: OpenedFor.CONNECT,
      peer: "10.77.0.1",
      peerPort: 1,
    });
    assert.equal(u.callWith(Op.CONNECT, "10.77.0.1", 1), 0);
    assert.deepEqual(u.name(SocketAt.remote), { address: "10.77.0.1", port: 1 });
    u.sendTo(bytes("x"), null);
    rig.until(() => (u.status & Status.ERROR) !== 0, "the refusal");
    assert.equal(u.takeError(), ECONNREFUSED);
    assert.equal(u.call(Op.SETSOCKOPT, [0, 11], ints(1)).result, 0); // IP_RECVERR
    u.sendTo(bytes("quoted"), null);
    rig.until(() => (u.status & Status.ERRQUEUE) !== 0, "the entry");
    const { data } = u.call(Op.RECV_ERROR);
    assert.equal(int(data), ECONNREFUSED);
    assert.equal(data[ErrorAt.origin], 2); // SO_EE_ORIGIN_ICMP
    assert.equal(Buffer.from(data.subarray(ERROR_BYTES)).toString(), "quoted");
    assert.equal(u.status & Status.ERRQUEUE, 0);
  });
});

test("what was set before comes along; what Millrace does not know stays with the kernel", () => {
  withEngine((rig) => {
    const client = rig.client();
    const s = client.open({
      kind: Kind.UDP,
      at: OpenedFor.BIND,
      own: "0.0.0.0",
      options: [
        [0, 2, 77],
        [1, 2, 1],
      ],
    });
    assert.equal(int(s.call(Op.GETSOCKOPT, [0, 2, 4]).data), 77);
    const odd = client.open({
      kind: Kind.TCP,
      at: OpenedFor.LISTEN,
      own: "0.0.0.0",
      options: [[1, 60, 1]],
    });
    assert.equal(odd.result, 1);
    assert.match(odd.reason, /^option SO_ZEROCOPY is not Millrace's/);
    assert.equal(rig.engine.sockets.size, 1);
  });
});

test("shutdown, connecting twice, closing that lingers, routes", () => {
  withEngine((rig) => {
    const client = rig.client();
    const { a, b } = loop(rig, client);
    assert.equal(a.callWith(Op.CONNECT, "10.77.0.1", 9), -EISCONN);
    a.send(new Uint8Array(60_000));
    assert.equal(a.call(Op.SHUTDOWN, [1]).result, 0);
    assert.equal(rig.read(b, 60_000).length, 60_000);
    rig.until(() => (b.status & Status.EOF) !== 0, "the end, behind the data");
    b.send(bytes("bye"));
    b.client.startCall(5, Op.CLOSING, b.local, [30]);
    rig.until(() => b.client.isDone(5), "everything acknowledged");
    assert.equal(b.client.callResult(5).result, 0);
    const u = udp(client);
    assert.equal(u.callWith(Op.ROUTE, "10.77.9.9", 1), 0);
    assert.equal(u.callWith(Op.ROUTE, "1.2.3.4", 1), 1);
    assert.equal(u.callWith(Op.ROUTE, "127.0.0.1", 1), 1);
  });
});

test("where a TCP socket that was opened for a server may connect: whoever listens at the port decides", () => {
  const at = (client: TestClient): TestSocket =>
    client.open({ kind: Kind.TCP, at: OpenedFor.BIND, own: "0.0.0.0" });
  withEngine((rig) => {
    const t = at(rig.client());
    assert.equal(t.callWith(Op.ROUTE, "10.77.9.9", 1), 0);
    assert.equal(t.callWith(Op.ROUTE, "1.2.3.4", 1), 1);
    assert.equal(t.callWith(Op.ROUTE, "127.0.0.1", 1), 1);
  });
  withEngine(
    (rig) => {
      const client = rig.client();
      const own = { own: "127.0.0.1", ownPort: 9 };
      client.open({ kind: Kind.UDP, at: OpenedFor.BIND, ...own, ownPort: 10 });
      client.open({ kind: Kind.TCP, at: OpenedFor.LISTEN, ...own }).call(Op.LISTEN, [4]);
      const t = at(client);
      assert.equal(t.callWith(Op.ROUTE, "127.0.0.1", 9), 0);
      assert.equal(t.callWith(Op.ROUTE, "127.0.0.1", 10), 1);
    },
    { loopback: true },
  );
});

test("interfaces are told of by ioctl", () => {
  withEngine((rig) => {
    const u = udp(rig.client());
    const request = new Uint8Array(40);
    request.set(bytes("mr0"));
    const address = u.call(Op.IOCTL, [0x8915], request).data;
    assert.deepEqual([...address.subarray(16, 24)], [2, 0, 0, 0, 10, 77, 0, 1]);
    request.set(bytes("none"));
    assert.equal(u.call(Op.IOCTL, [0x8915], request).result, -ENODEV);
  });
});

test("interfaces are listed from any record on, with the addresses that the program has", () => {
  withEngine((rig) => {
    const u = udp(rig.client());
    const list = (from: number) => u.call(Op.INTERFACES, [from]);
    assert.deepEqual(
      [0, 1, 2, -1].map((from) => list(from).result),
      [2, 1, 0, 0],
    );
    const { data } = list(0);
    assert.equal(data.length, 2 * INTERFACE_BYTES);
    const text = Buffer.from(data.subarray(0, 16)).toString();
    assert.equal(text, "mr0".padEnd(16, "\0"));
    const address = InterfaceAt.address;
    assert.deepEqual([...data.subarray(address, address + 4)], [10, 77, 0, 1]);
    const own = udp(rig.client({ address: "10.77.0.9" })).call(Op.INTERFACES, [0]);
    assert.deepEqual([...own.data.subarray(address, address + 4)], [10, 77, 0, 9]);
    const request = new Uint8Array(40);
    request.set(bytes("mr0"));
    const asked = udp(rig.client({ address: "10.77.0.9" })).call(Op.IOCTL, [0x8915], request).data;
    assert.deepEqual([...asked.subarray(20, 24)], [10, 77, 0, 9]);
    assert.equal(list(0).result, 2, "the other program's is not the machine's");
  });
});
