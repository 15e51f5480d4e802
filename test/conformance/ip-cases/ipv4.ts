/** RFC 791, 815, 5722 (IPv4 and its fragments), RFC 6864 (identification), RFC 1122 §3.2.1. */
import assert from "node:assert/strict";
import { counting, type IpCase, type Seen, type World } from "../ip-world.js";

const isTimeExceeded = (f: Seen): boolean => f.isIcmp(11, 1);

/** A datagram of 40 bytes to port 7000 in pieces of 16 bytes: [offset, bytes, more]. */
function pieces(w: World): (readonly [number, readonly number[], boolean])[] {
  const datagram = w.udp(true, 7000, counting(40));
  return [
    [0, datagram.slice(0, 16), true],
    [16, datagram.slice(16, 32), true],
    [32, datagram.slice(32), false],
  ];
}

async function sendPieces(w: World, order: readonly number[], id = 5): Promise<void> {
  const all = pieces(w);
  for (const i of order) {
    const [offset, bytes, more] = all[i]!;
    w.send(w.ip4(17, bytes, { id, offset, more }));
  }
}

async function listening(w: World): Promise<void> {
  await w.expectCall("udp_bind 0.0.0.0 7000", "0");
}

export const IPV4: readonly IpCase[] = [
  ...[
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
  ].map((order) => ({
    title: `RFC 791 §3.2 fragments in the order ${order.join(", ")} become one datagram`,
    run: async (w: World) => {
      await listening(w);
      await sendPieces(w, order);
      await w.expectCall("udp_recv 100", "40");
    },
  })),
  {
    title: "RFC 815 a fragment that comes twice does no harm",
    run: async (w) => {
      await listening(w);
      await sendPieces(w, [0, 0, 1, 1, 2]);
      await w.expectCall("udp_recv 100", "40");
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title: "RFC 791 §3.2 fragments of different identification are not joined",
    run: async (w) => {
      await listening(w);
      await sendPieces(w, [0, 1], 5);
      await sendPieces(w, [2], 6);
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title: "RFC 5722 §4 fragments that overlap are all thrown away",
    run: async (w) => {
      await listening(w);
      const datagram = w.udp(true, 7000, counting(40));
      w.send(w.ip4(17, datagram.slice(0, 24), { id: 5, offset: 0, more: true }));
      w.send(w.ip4(17, datagram.slice(16, 32), { id: 5, offset: 16, more: true }));
      w.send(w.ip4(17, datagram.slice(24, 32), { id: 5, offset: 24, more: true }));
      w.send(w.ip4(17, datagram.slice(32), { id: 5, offset: 32 }));
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title: "RFC 791 §3.2 a fragment that ends beyond 65,535 bytes is dropped",
    run: async (w) => {
      await listening(w);
      w.send(w.ip4(17, counting(64), { id: 5, offset: 65_512 }));
      await sendPieces(w, [0, 1, 2], 6);
      await w.expectCall("udp_recv 100", "40");
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title:
      "RFC 1122 §3.3.2 reassembly that is not complete in time is reported, with the first fragment",
    run: async (w) => {
      await listening(w);
      await sendPieces(w, [0, 1]);
      const error = await w.expect("time exceeded", isTimeExceeded, 61);
      assert.deepEqual(error.payload.slice(28, 36), pieces(w)[0]![1].slice(0, 8));
    },
  },
  {
    title: "RFC 1122 §3.3.2 without the first fragment nothing is reported",
    run: async (w) => {
      await listening(w);
      await sendPieces(w, [1, 2]);
      await w.expectNone("time exceeded", isTimeExceeded, 3);
    },
  },
  {
    title: "RFC 1122 §3.2.1.2 MUST a wrong header checksum drops the packet",
    run: async (w) => {
      w.send(w.echo4(counting(16), { badChecksum: true }));
      await w.expectNone("answer", (f) => f.isIcmp(0));
    },
  },
  {
    title: "RFC 1122 §3.2.1.1 MUST another version number drops the packet",
    run: async (w) => {
      const frame = [...w.echo4()];
      frame[14] = 0x55;
      w.send(frame);
      await w.expectNone("answer", (f) => f.isIcmp(0));
    },
  },
  {
    title: "RFC 1122 §3.2.1.3 MUST a packet for another host is dropped in silence",
    run: async (w) => {
      w.send(w.echo4(counting(16), { dst: w.other4(77) }));
      w.send(w.ip4(17, w.udp(true, 7001, []), { dst: w.other4(77) }));
      await w.expectNone("answer", (f) => f.isV4 && f.protocol === 1);
    },
  },
  {
    title: "RFC 1122 §3.2.1.3 MUST a source that is no single host is dropped in silence",
    run: async (w) => {
      for (const src of [
        [255, 255, 255, 255],
        [224, 0, 0, 5],
        [127, 0, 0, 1],
      ]) {
        w.send(w.echo4(counting(16), { src }));
      }
      await w.expectNone("answer", (f) => f.isIcmp(0));
    },
  },
  {
    title:
      "RFC 1122 §3.2.1.3 MUST a source that is the network's broadcast address is not answered",
    run: async (w) => {
      w.send(w.echo4(counting(16), { src: w.other4(255) }));
      await w.expectNone("answer", (f) => f.isIcmp(0));
    },
    notOnLinux: "it answers by broadcast",
  },
  {
    title: "RFC 1122 §3.2.1.7 MUST a packet with TTL 1 is for the host all the same",
    run: async (w) => {
      w.send(w.echo4(counting(16), { ttl: 1 }));
      await w.expect("echo reply", (f) => f.isIcmp(0));
    },
  },
  {
    title: "RFC 1122 §3.2.1.8 options that the host does not know are skipped",
    run: async (w) => {
      await listening(w);
      w.send(w.ip4(17, w.udp(true, 7000, counting(10)), { options: [1, 1, 158, 4, 0, 0, 0, 0] }));
      await w.expectCall("udp_recv 100", "10");
    },
  },
  {
    title: "RFC 791 §3.1 bytes of the frame beyond the total length are not part of the packet",
    run: async (w) => {
      await listening(w);
      w.send([...w.ip4(17, w.udp(true, 7000, counting(10))), ...counting(30)]);
      await w.expectCall("udp_recv 100", "10");
    },
  },
  {
    title: "RFC 791 §3.1 a total length beyond the frame's end drops the packet",
    run: async (w) => {
      await listening(w);
      w.send(w.ip4(17, w.udp(true, 7000, counting(200))).slice(0, 150));
      await w.expectCall("udp_recv 300", "EAGAIN");
    },
  },
  {
    title: "RFC 791 §3.2 a datagram larger than the MTU leaves in fragments",
    run: async (w) => {
      await listening(w);
      await w.expectCall(`udp_sendto ${w.text4(2)} 9000 4000`, "4000");
      const parts: Seen[] = [];
      for (let i = 0; i < 3; i++) {
        parts.push(await w.expect("a fragment", (f) => f.isV4 && f.protocol === 17));
      }
      parts.sort((a, b) => a.offset - b.offset);
      assert.deepEqual(
        parts.map((f) => [f.offset, f.more]),
        [
          [0, true],
          [1480, true],
          [2960, false],
        ],
      );
      assert.equal(new Set(parts.map((f) => f.id)).size, 1);
      assert.equal(
        parts.reduce((sum, f) => sum + f.payload.length, 0),
        4008,
      );
    },
  },
  {
    title: "RFC 6864 §4.2 datagrams in fragments have different identifications",
    run: async (w) => {
      await listening(w);
      const ids = new Set<number>();
      for (let i = 0; i < 4; i++) {
        await w.call(`udp_sendto ${w.text4(2)} 9000 2000`);
        const first = await w.expect("a fragment", (f) => f.isV4 && f.protocol === 17 && f.more);
        ids.add(first.id);
      }
      assert.equal(ids.size, 4);
    },
  },
];
