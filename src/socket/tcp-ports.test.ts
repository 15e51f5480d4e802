/** Bind conflicts and listener choice; test/interop compares the same table with Linux. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import { State } from "../tcp/state.js";
import { Tcb } from "../tcp/tcb.js";
import { ROW_BYTES } from "../tcp/tcb-row.js";
import { TcpPorts } from "./tcp-ports.js";
import { NONE, RowFlags, TcpRows } from "./tcp-rows.js";

interface Holder {
  readonly address: string;
  readonly flags?: number;
  readonly state?: number;
  readonly ifIndex?: number;
  readonly owner?: number;
}

const { REUSE_ADDRESS, REUSE_PORT, V6ONLY, FAMILY6 } = RowFlags;

function portsWith(...holders: Holder[]): { ports: TcpPorts; add: (h: Holder) => number } {
  const memory = new ArrayBuffer(ROW_BYTES * 16);
  const tcb = new Tcb(new Int32Array(memory), new Float64Array(memory));
  const rows = new TcpRows();
  const ports = new TcpPorts(rows, tcb);
  let next = 0;
  const place = (h: Holder): number => {
    const row = next++;
    rows.clear(row);
    const address = IpAddress.parse(h.address);
    rows.flags[row] = (h.flags ?? 0) | (address.isV4 ? 0 : FAMILY6);
    rows.ifIndex[row] = h.ifIndex ?? 0;
    rows.owner[row] = h.owner ?? 0;
    const c = tcb.select(row);
    c.state = h.state ?? State.CLOSED;
    c.i.set([address.w0, address.w1, address.w2, address.w3], c.addressAt);
    return row;
  };
  const add = (h: Holder): number => {
    const row = place(h);
    ports.hold(row, 80, false);
    if (h.state === State.LISTEN) ports.addListener(row);
    return row;
  };
  for (const h of holders) add(h);
  return { ports, add: place };
}

function conflicts(there: Holder, wanted: Holder): boolean {
  const { ports, add } = portsWith(there);
  return ports.conflicts(add(wanted), IpAddress.parse(wanted.address), 80, false);
}

const LISTEN = State.LISTEN;

const TABLE: readonly (readonly [claim: string, there: Holder, wanted: Holder, result: boolean])[] =
  [
    ["the same address", { address: "10.0.0.1" }, { address: "10.0.0.1" }, true],
    ["another address", { address: "10.0.0.1" }, { address: "10.0.0.2" }, false],
    ["a wildcard after an address", { address: "10.0.0.1" }, { address: "0.0.0.0" }, true],
    ["an address after a wildcard", { address: "0.0.0.0" }, { address: "10.0.0.1" }, true],
    ["dual-stack after IPv4", { address: "10.0.0.1" }, { address: "::" }, true],
    ["IPv4 after dual-stack", { address: "::" }, { address: "10.0.0.1" }, true],
    ["IPv4 wildcard after dual-stack", { address: "::" }, { address: "0.0.0.0" }, true],
    ["dual-stack after IPv4 wildcard", { address: "0.0.0.0" }, { address: "::" }, true],
    ["v6only after IPv4 wildcard", { address: "0.0.0.0" }, { address: "::", flags: V6ONLY }, false],
    ["IPv4 wildcard after v6only", { address: "::", flags: V6ONLY }, { address: "0.0.0.0" }, false],
    ["IPv4 after v6only", { address: "::", flags: V6ONLY }, { address: "10.0.0.1" }, false],
    [
      "v6only after v6only",
      { address: "::", flags: V6ONLY },
      { address: "::", flags: V6ONLY },
      true,
    ],
    ["IPv6 address after dual-stack", { address: "::" }, { address: "fd00::1" }, true],
    ["IPv6 address after IPv4 wildcard", { address: "0.0.0.0" }, { address: "fd00::1" }, false],
    ["dual-stack after IPv6 address", { address: "fd00::1" }, { address: "::" }, true],
    [
      "another interface",
      { address: "10.0.0.1", ifIndex: 2 },
      { address: "10.0.0.1", ifIndex: 3 },
      false,
    ],
    ["any interface after one", { address: "10.0.0.1", ifIndex: 2 }, { address: "10.0.0.1" }, true],
    [
      "reuse address on both, not listening",
      { address: "10.0.0.1", flags: REUSE_ADDRESS },
      { address: "10.0.0.1", flags: REUSE_ADDRESS },
      false,
    ],
    [
      "reuse address on both, listening",
      { address: "10.0.0.1", flags: REUSE_ADDRESS, state: LISTEN },
      { address: "10.0.0.1", flags: REUSE_ADDRESS },
      true,
    ],
    [
      "reuse address on one only",
      { address: "10.0.0.1" },
      { address: "10.0.0.1", flags: REUSE_ADDRESS },
      true,
    ],
    [
      "TIME-WAIT without reuse address",
      { address: "10.0.0.1", state: State.TIME_WAIT },
      { address: "0.0.0.0" },
      true,
    ],
    [
      "TIME-WAIT with reuse address on both",
      { address: "10.0.0.1", flags: REUSE_ADDRESS, state: State.TIME_WAIT },
      { address: "0.0.0.0", flags: REUSE_ADDRESS },
      false,
    ],
    [
      "reuse port on both, listening",
      { address: "10.0.0.1", flags: REUSE_PORT, state: LISTEN },
      { address: "10.0.0.1", flags: REUSE_PORT },
      false,
    ],
    [
      "reuse port of another user",
      { address: "10.0.0.1", flags: REUSE_PORT, state: LISTEN, owner: 1 },
      { address: "10.0.0.1", flags: REUSE_PORT, owner: 2 },
      true,
    ],
    [
      "reuse port of another user in TIME-WAIT",
      { address: "10.0.0.1", flags: REUSE_PORT, state: State.TIME_WAIT, owner: 1 },
      { address: "10.0.0.1", flags: REUSE_PORT, owner: 2 },
      false,
    ],
  ];

for (const [claim, there, wanted, result] of TABLE) {
  test(`bind: ${claim} ${result ? "is refused" : "is allowed"}`, () => {
    assert.equal(conflicts(there, wanted), result);
  });
}

test("a port chosen by the stack shares nothing, whatever the options say", () => {
  const reuse = { address: "10.0.0.1", flags: REUSE_ADDRESS | REUSE_PORT };
  const { ports, add } = portsWith(reuse);
  assert.equal(ports.conflicts(add(reuse), IpAddress.parse("10.0.0.1"), 80, true), true);
});

function chosen(local: string, ifIndex: number, ...listeners: Holder[]): number {
  const { ports } = portsWith(...listeners.map((l) => ({ ...l, state: LISTEN })));
  return ports.findListener(IpAddress.parse(local), 80, ifIndex, 0);
}

test("the listener on the very address is preferred to wildcards", () => {
  const any = { address: "0.0.0.0" };
  const dual = { address: "::" };
  const exact = { address: "10.0.0.1" };
  assert.equal(chosen("10.0.0.1", 2, any, dual, exact), 2);
  assert.equal(chosen("10.0.0.2", 2, any, exact), 0);
  assert.equal(chosen("10.0.0.2", 2, exact), NONE);
});

test("the listener on the interface is preferred, an IPv4 one to a dual-stack one", () => {
  const dual = { address: "::" };
  const any = { address: "0.0.0.0" };
  const onInterface = { address: "::", ifIndex: 2 };
  assert.equal(chosen("10.0.0.1", 3, dual, any, onInterface), 1);
  assert.equal(chosen("10.0.0.1", 2, dual, any, onInterface), 2);
});

test("IPv4 does not reach a listener with IPV6_V6ONLY, nor IPv6 an IPv4 one", () => {
  assert.equal(chosen("10.0.0.1", 2, { address: "::", flags: V6ONLY }), NONE);
  assert.equal(chosen("fd00::1", 2, { address: "0.0.0.0" }), NONE);
  assert.equal(chosen("fd00::1", 2, { address: "::", flags: V6ONLY }), 0);
});

test("listeners with SO_REUSEPORT share connections by hash", () => {
  const group = [0, 1, 2, 3].map(() => ({
    address: "10.0.0.1",
    flags: REUSE_PORT,
    state: LISTEN,
  }));
  const { ports } = portsWith(...group);
  const local = IpAddress.parse("10.0.0.1");
  const quarter = 0x4000_0000;
  const got = [0, 1, 2, 3].map((n) => ports.findListener(local, 80, 2, n * quarter));
  assert.deepEqual(got, [0, 1, 2, 3]);
  ports.release(1);
  assert.equal(ports.findListener(local, 80, 2, 3 * quarter), 3);
});
