/** RFC 8200 (IPv6), RFC 5722, 6946, 8021 (fragments), RFC 4443 (ICMPv6), RFC 5095 (routing type 0). */
import assert from "node:assert/strict";
import {
  address,
  checksum,
  counting,
  type IpCase,
  type Seen,
  u16,
  u32,
  type World,
} from "../ip-world.js";

const isReply = (f: Seen): boolean => f.isIcmp(129);
const isError = (f: Seen): boolean => f.isV6 && f.upper === 58 && f.payload[0]! < 128;
const ALL_NODES = address("ff02::1");
const ALL_NODES_MAC = [0x33, 0x33, 0, 0, 0, 1];

/** A hop-by-hop or destination options header with one option of six bytes. */
const optionHeader = (next: number, option: number): number[] => [next, 0, option, 4, 0, 0, 0, 0];
const fragmentHeader = (next: number, offset: number, more: boolean, id: number): number[] => [
  next,
  0,
  ...u16(offset | (more ? 1 : 0)),
  ...u32(id),
];

async function expectProblem(w: World, code: number, pointer: number): Promise<void> {
  const error = await w.expect(`parameter problem ${code}`, (f) => f.isIcmp(4, code));
  assert.deepEqual(error.payload.slice(4, 8), u32(pointer));
}

async function sendPieces(w: World, order: readonly number[], id = 5): Promise<void> {
  const datagram = w.udp(false, 7000, counting(40));
  const parts = [
    [0, datagram.slice(0, 16), true],
    [16, datagram.slice(16, 32), true],
    [32, datagram.slice(32), false],
  ] as const;
  for (const i of order) {
    const [offset, bytes, more] = parts[i]!;
    w.send(w.ip6(44, [...fragmentHeader(17, offset, more, id), ...bytes]));
  }
}

export const IPV6: readonly IpCase[] = [
  {
    title: "RFC 4443 §4.2 an echo request is answered with its own data",
    run: async (w) => {
      w.send(w.ip6(58, w.echo6(counting(50))));
      const reply = await w.expect("echo reply", isReply);
      assert.deepEqual([reply.src, reply.dst], [w.h6, w.p6]);
      assert.deepEqual(reply.payload.slice(4), [0, 7, 0, 1, ...counting(50)]);
      const pseudo = w.pseudo(false, 58, reply.payload.length, { src: w.h6, dst: w.p6 });
      assert.deepEqual(checksum(pseudo, reply.payload), [0, 0]);
    },
  },
  {
    title: "RFC 4443 §2.3 a wrong checksum drops the message",
    run: async (w) => {
      const echo = [...w.echo6()];
      echo[2]! ^= 1;
      w.send(w.ip6(58, echo));
      await w.expectNone("answer", isReply);
    },
  },
  {
    title: "RFC 4443 §4.2 an echo request to a group is answered from an own address",
    run: async (w) => {
      w.send(
        w.ip6(58, w.echo6(counting(8), { dst: ALL_NODES }), { dst: ALL_NODES, to: ALL_NODES_MAC }),
      );
      const reply = await w.expect("echo reply", isReply);
      assert.deepEqual(reply.src, w.h6);
    },
  },
  {
    title: "RFC 4443 §2.4 (a), (b) messages of unknown type are not answered",
    run: async (w) => {
      w.send(w.ip6(58, w.icmp6(99, 0, counting(60))));
      w.send(w.ip6(58, w.icmp6(250, 0, counting(60))));
      await w.expectNone("error", isError);
    },
  },
  {
    title: "RFC 4443 §3.1 a datagram to a closed port causes port unreachable, which quotes it",
    run: async (w) => {
      const frame = w.ip6(17, w.udp(false, 7001, counting(20)));
      w.send(frame);
      const error = await w.expect("port unreachable", (f) => f.isIcmp(1, 4));
      assert.deepEqual(error.payload.slice(8), frame.slice(14));
    },
  },
  {
    title: "RFC 4443 §2.4 (c) an error is no longer than 1280 bytes",
    run: async (w) => {
      w.send(w.ip6(17, w.udp(false, 7001, counting(1400))));
      const error = await w.expect("port unreachable", (f) => f.isIcmp(1, 4));
      assert.equal(40 + error.payload.length, 1280);
    },
  },
  {
    title: "RFC 4443 §2.4 (e) no error about a packet to a group, or from one",
    run: async (w) => {
      const dst = ALL_NODES;
      w.send(w.ip6(17, w.udp(false, 7001, [], { dst }), { dst, to: ALL_NODES_MAC }));
      const src = address("ff02::5");
      w.send(w.ip6(17, w.udp(false, 7001, [], { src }), { src }));
      w.send(w.ip6(17, w.udp(false, 7001, [], { src: address("::") }), { src: address("::") }));
      await w.expectNone("error", isError);
    },
  },
  {
    title: "RFC 8200 §4.3 hop-by-hop options with padding are skipped",
    run: async (w) => {
      w.send(w.ip6(0, [...optionHeader(58, 1), ...w.echo6()]));
      await w.expect("echo reply", isReply);
    },
  },
  {
    title: "RFC 8200 §4.2 an unknown option of action 00 is skipped",
    run: async (w) => {
      w.send(w.ip6(60, [...optionHeader(58, 0x1e), ...w.echo6()]));
      await w.expect("echo reply", isReply);
    },
  },
  {
    title: "RFC 8200 §4.2 an unknown option of action 01 drops the packet in silence",
    run: async (w) => {
      w.send(w.ip6(60, [...optionHeader(58, 0x5e), ...w.echo6()]));
      await w.expectNone("answer", (f) => isReply(f) || isError(f));
    },
  },
  {
    title: "RFC 8200 §4.2 an unknown option of action 10 is reported with its place",
    run: async (w) => {
      w.send(w.ip6(60, [...optionHeader(58, 0x9e), ...w.echo6()]));
      await expectProblem(w, 2, 42);
    },
  },
  {
    title: "RFC 8200 §4.2 an unknown option of action 10 is reported even when sent to a group",
    run: async (w) => {
      const dst = ALL_NODES;
      const payload = [...optionHeader(58, 0x9e), ...w.echo6([], { dst })];
      w.send(w.ip6(60, payload, { dst, to: ALL_NODES_MAC }));
      await expectProblem(w, 2, 42);
    },
  },
  {
    title: "RFC 8200 §4.2 an unknown option of action 11 is reported, but not when sent to a group",
    run: async (w) => {
      const dst = ALL_NODES;
      const payload = [...optionHeader(58, 0xde), ...w.echo6([], { dst })];
      w.send(w.ip6(60, payload, { dst, to: ALL_NODES_MAC }));
      await w.expectNone("error", isError);
      w.send(w.ip6(60, [...optionHeader(58, 0xde), ...w.echo6()]));
      await expectProblem(w, 2, 42);
    },
  },
  {
    title: "RFC 8200 §4 an unknown next header is reported with its place",
    run: async (w) => {
      w.send(w.ip6(253, counting(16)));
      await expectProblem(w, 1, 6);
    },
  },
  {
    title: "RFC 8200 §4 an unknown next header behind options is reported with its place",
    run: async (w) => {
      w.send(w.ip6(60, [...optionHeader(253, 1), ...counting(16)]));
      await expectProblem(w, 1, 40);
    },
  },
  {
    title: "RFC 8200 §4.1 hop-by-hop options that do not come first are reported",
    run: async (w) => {
      w.send(w.ip6(60, [...optionHeader(0, 1), ...optionHeader(58, 1), ...w.echo6()]));
      await expectProblem(w, 1, 40);
    },
  },
  {
    title: "RFC 8200 §4.7 no next header: what follows is not looked at",
    run: async (w) => {
      w.send(w.ip6(59, counting(16)));
      await w.expectNone("error", isError);
    },
  },
  {
    title: "RFC 8200 §4.4 an unknown routing type without segments left is skipped",
    run: async (w) => {
      w.send(w.ip6(43, [58, 0, 200, 0, 0, 0, 0, 0, ...w.echo6()]));
      await w.expect("echo reply", isReply);
    },
  },
  {
    title: "RFC 8200 §4.4 an unknown routing type with segments left is reported",
    run: async (w) => {
      w.send(w.ip6(43, [58, 0, 200, 1, 0, 0, 0, 0, ...w.echo6()]));
      await expectProblem(w, 0, 42);
    },
  },
  {
    title: "RFC 5095 §3 a routing header of type 0 with segments left is reported",
    run: async (w) => {
      w.send(w.ip6(43, [58, 2, 0, 1, 0, 0, 0, 0, ...w.other6(9), ...w.echo6()]));
      await expectProblem(w, 0, 42);
    },
  },
  ...[
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ].map((order) => ({
    title: `RFC 8200 §4.5 fragments in the order ${order.join(", ")} become one datagram`,
    run: async (w: World) => {
      await w.call("udp_bind :: 7000");
      await sendPieces(w, order);
      await w.expectCall("udp_recv 100", "40");
    },
  })),
  {
    title: "RFC 5722 §4 fragments that overlap are all thrown away",
    run: async (w) => {
      await w.call("udp_bind :: 7000");
      const datagram = w.udp(false, 7000, counting(40));
      const part = (offset: number, end: number, more: boolean): void =>
        w.send(w.ip6(44, [...fragmentHeader(17, offset, more, 5), ...datagram.slice(offset, end)]));
      part(0, 24, true);
      part(16, 32, true);
      part(24, 32, true);
      part(32, 48, false);
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title:
      "RFC 6946 §4 an atomic fragment is taken by itself, whatever waits with its identification",
    run: async (w) => {
      await w.call("udp_bind :: 7000");
      await sendPieces(w, [0]);
      w.send(w.ip6(44, [...fragmentHeader(17, 0, false, 5), ...w.udp(false, 7000, counting(7))]));
      await w.expectCall("udp_recv 100", "7");
      await sendPieces(w, [1, 2]);
      await w.expectCall("udp_recv 100", "40");
    },
  },
  {
    title: "RFC 8200 §4.5 a fragment whose length is no multiple of eight is reported",
    run: async (w) => {
      w.send(w.ip6(44, [...fragmentHeader(17, 0, true, 5), ...counting(13)]));
      await expectProblem(w, 0, 4);
    },
  },
  {
    title: "RFC 8200 §4.5 a fragment that ends beyond 65,535 bytes is reported",
    run: async (w) => {
      w.send(w.ip6(44, [...fragmentHeader(17, 65_528, false, 5), ...counting(16)]));
      await expectProblem(w, 0, 42);
    },
  },
  {
    title: "RFC 8200 §4.5 reassembly that is not complete in 60 s is reported",
    run: async (w) => {
      await sendPieces(w, [0, 1]);
      await w.expect("time exceeded", (f) => f.isIcmp(3, 1), 62);
    },
  },
  {
    title: "RFC 8200 §4.5 without the first fragment nothing is reported",
    run: async (w) => {
      await sendPieces(w, [1, 2]);
      await w.expectNone("error", isError, 3);
    },
  },
  {
    title: "RFC 8200 §4.5 a datagram larger than the MTU leaves in fragments",
    run: async (w) => {
      await w.call("udp_bind :: 7000");
      await w.expectCall(`udp_sendto ${w.text6(2)} 9000 3000`, "3000");
      const parts: Seen[] = [];
      for (let i = 0; i < 3; i++)
        parts.push(await w.expect("a fragment", (f) => f.isV6 && f.upper === 44));
      const places = parts.map((f) => (f.payload[2]! << 8) | f.payload[3]!).sort((a, b) => a - b);
      assert.deepEqual(places, [1, 1448 | 1, 2896]);
    },
  },
  {
    title: "RFC 8200 §3 a payload length beyond the frame's end drops the packet",
    run: async (w) => {
      w.send(w.ip6(58, w.echo6(counting(100))).slice(0, 120));
      await w.expectNone("answer", isReply);
    },
  },
  {
    title: "RFC 8201 §4 the socket's datagrams keep to a smaller path MTU",
    run: async (w) => {
      await w.call("udp_bind :: 7000");
      await w.call(`udp_connect ${w.text6(2)} 9000`);
      await w.expectCall("udp_send 1400", "1400");
      const sent = await w.expect("the datagram", (f) => f.isV6 && f.upper === 17);
      w.send(w.ip6(58, w.icmp6(2, 0, [...u32(1300), ...sent.at(0, 60)])));
      await w.call("udp_recv 100");
      await w.expectCall("udp_send 1400", "1400");
      const part = await w.expect("a fragment", (f) => f.isV6 && f.upper === 44);
      assert.ok(40 + part.payload.length <= 1300);
    },
  },
];
