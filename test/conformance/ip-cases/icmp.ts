/** RFC 792 and RFC 1122 §3.2.2: ICMP. */
import assert from "node:assert/strict";
import { checksum, counting, type IpCase, type Seen } from "../ip-world.js";

const isError = (f: Seen): boolean => f.isIcmp(3) || f.isIcmp(11) || f.isIcmp(12);

export const ICMP4: readonly IpCase[] = [
  {
    title:
      "RFC 1122 §3.2.2.6 MUST an echo request is answered with its own data, addresses swapped",
    run: async (w) => {
      w.send(w.echo4(counting(50)));
      const reply = await w.expect("echo reply", (f) => f.isIcmp(0));
      assert.deepEqual(reply.src, w.h4);
      assert.deepEqual(reply.dst, w.p4);
      assert.deepEqual(reply.payload, w.icmp4(0, 0, [0, 7, 0, 1, ...counting(50)]));
    },
  },
  {
    title: "RFC 792 an echo request of odd length is answered",
    run: async (w) => {
      w.send(w.echo4(counting(47)));
      const reply = await w.expect("echo reply", (f) => f.isIcmp(0));
      assert.deepEqual(reply.payload, w.icmp4(0, 0, [0, 7, 0, 1, ...counting(47)]));
    },
  },
  {
    title: "RFC 792 a wrong ICMP checksum drops the message",
    run: async (w) => {
      const frame = [...w.echo4()];
      frame[36]! ^= 1;
      w.send(frame);
      await w.expectNone("answer", (f) => f.isIcmp(0));
    },
  },
  {
    title: "RFC 1122 §3.2.2.6 an echo request to a broadcast address is not answered",
    run: async (w) => {
      w.send(w.echo4(counting(16), { dst: w.other4(255), to: [255, 255, 255, 255, 255, 255] }));
      await w.expectNone("answer", (f) => f.isIcmp(0));
    },
  },
  {
    title: "RFC 1122 §3.2.2 MUST a message of unknown type is dropped in silence",
    run: async (w) => {
      w.send(w.ip4(1, w.icmp4(200, 0, counting(20))));
      await w.expectNone("answer", (f) => f.isV4 && f.protocol === 1);
    },
  },
  {
    title:
      "RFC 1122 §3.2.2.1 SHOULD a datagram to a closed port causes port unreachable, which quotes it",
    run: async (w) => {
      const frame = w.ip4(17, w.udp(true, 7001, counting(20)));
      w.send(frame);
      const error = await w.expect("port unreachable", (f) => f.isIcmp(3, 3));
      assert.deepEqual(error.dst, w.p4);
      assert.deepEqual(error.payload.slice(8, 36), frame.slice(14, 42));
    },
  },
  {
    title: "RFC 1122 §3.2.2.1 SHOULD an unknown protocol causes protocol unreachable",
    run: async (w) => {
      w.send(w.ip4(253, counting(20)));
      await w.expect("protocol unreachable", (f) => f.isIcmp(3, 2));
    },
  },
  {
    title: "RFC 1812 §4.3.2.3 an error is no longer than 576 bytes",
    run: async (w) => {
      w.send(w.ip4(17, w.udp(true, 7001, counting(1400))));
      const error = await w.expect("port unreachable", (f) => f.isIcmp(3, 3));
      const total = 20 + error.payload.length;
      assert.ok(total <= 576 && total >= 56, `${total} bytes`);
    },
  },
  {
    title: "RFC 1122 §3.2.2 MUST NOT no error about an ICMP error",
    run: async (w) => {
      const quoted = w.ip4(253, counting(20), { src: w.h4, dst: w.p4 }).slice(14);
      w.send(w.ip4(1, w.icmp4(3, 3, [0, 0, 0, 0, ...quoted])));
      w.send(w.ip4(1, w.icmp4(3, 99, [0, 0, 0, 0])));
      await w.expectNone("error", isError);
    },
  },
  {
    title: "RFC 1122 §3.2.2 MUST NOT no error about a packet to a broadcast or multicast address",
    run: async (w) => {
      const all = [255, 255, 255, 255, 255, 255];
      for (const dst of [w.other4(255), [255, 255, 255, 255], [224, 0, 0, 1]]) {
        w.send(w.ip4(17, w.udp(true, 7001, [], { dst }), { dst, to: all }));
        w.send(w.ip4(253, counting(20), { dst, to: all }));
      }
      await w.expectNone("error", isError);
    },
  },
  {
    title: "RFC 1122 §3.2.2 MUST NOT no error about a link-layer broadcast",
    run: async (w) => {
      w.send(w.ip4(17, w.udp(true, 7001, []), { to: [255, 255, 255, 255, 255, 255] }));
      await w.expectNone("error", isError);
    },
  },
  {
    title: "RFC 1122 §3.2.2 MUST NOT no error to a source that is no single host",
    run: async (w) => {
      for (const src of [
        [0, 0, 0, 0],
        [255, 255, 255, 255],
        [224, 0, 0, 1],
      ]) {
        w.send(w.ip4(17, w.udp(true, 7001, [], { src }), { src }));
      }
      await w.expectNone("error", isError);
    },
  },
  {
    title:
      "RFC 9293 §3.9.2.3 MUST-57 a TCP segment to a broadcast or multicast address is dropped in silence",
    run: async (w) => {
      const syn = [0x9c, 0x40, 0x1b, 0x58, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];
      for (const dst of [w.other4(255), [255, 255, 255, 255], [224, 0, 0, 1]]) {
        const sum = checksum(w.pseudo(true, 6, 20, { dst }), syn);
        const segment = [...syn.slice(0, 16), ...sum, 0, 0];
        w.send(w.ip4(6, segment, { dst, to: [255, 255, 255, 255, 255, 255] }));
      }
      await w.expectNone("answer", (f) => f.isV4 && (f.protocol === 6 || f.protocol === 1));
    },
  },
  {
    title: "RFC 1122 §4.1.3.3 MUST port unreachable reaches the socket that sent",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      await w.expectCall(`udp_connect ${w.text4(2)} 9000`, "0");
      await w.expectCall("udp_send 20", "20");
      const sent = await w.expect("the datagram", (f) => f.isV4 && f.protocol === 17);
      w.send(w.ip4(1, w.icmp4(3, 3, [0, 0, 0, 0, ...sent.at(0, 28)])));
      await w.expectCall("udp_recv 100", "ECONNREFUSED");
    },
  },
  {
    title:
      "RFC 1191 §3 the socket learns of a smaller path MTU, and later datagrams are in fragments",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      await w.call(`udp_connect ${w.text4(2)} 9000`);
      await w.expectCall("udp_send 1400", "1400");
      const sent = await w.expect("the datagram", (f) => f.isV4 && f.protocol === 17);
      assert.equal(sent.at(6)[0]! & 0x40, 0x40, "DF");
      w.send(w.ip4(1, w.icmp4(3, 4, [0, 0, 3, 232, ...sent.at(0, 28)])));
      await w.call("udp_recv 100");
      await w.expectCall("udp_send 1400", "1400");
      const part = await w.expect("a fragment", (f) => f.isV4 && f.protocol === 17);
      assert.equal(part.more, true);
      assert.ok(part.payload.length <= 980);
    },
  },
];
