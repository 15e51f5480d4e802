/** RFC 768 (UDP), RFC 8200 §8.1 (its checksum over IPv6), RFC 1122 §4.1. */
import assert from "node:assert/strict";
import { checksum, counting, type IpCase, u16, type World } from "../ip-world.js";

/** A datagram whose checksum and length fields are as given. */
function odd(w: World, isV4: boolean, length: number, sum: number): readonly number[] {
  const data = counting(10);
  const datagram = [...u16(9000), ...u16(7000), ...u16(length), ...u16(sum), ...data];
  return isV4 ? w.ip4(17, datagram) : w.ip6(17, datagram);
}

export const UDP: readonly IpCase[] = [
  ...([true, false] as const).map((isV4) => ({
    title: `RFC 768 datagrams reach the bound socket over IPv${isV4 ? 4 : 6}, empty ones too`,
    run: async (w: World) => {
      await w.expectCall(`udp_bind ${isV4 ? "0.0.0.0" : "::"} 7000`, "0");
      const send = (data: readonly number[]) => {
        const datagram = w.udp(isV4, 7000, data);
        w.send(isV4 ? w.ip4(17, datagram) : w.ip6(17, datagram));
      };
      send(counting(33));
      send([]);
      await w.expectCall("udp_recv 100", "33");
      await w.expectCall("udp_recv 100", "0");
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  })),
  {
    title: "RFC 768 over IPv4 a checksum of zero means none",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      w.send(odd(w, true, 18, 0));
      await w.expectCall("udp_recv 100", "10");
    },
  },
  {
    title: "RFC 8200 §8.1 over IPv6 a checksum of zero drops the datagram",
    run: async (w) => {
      await w.call("udp_bind :: 7000");
      w.send(odd(w, false, 18, 0));
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title: "RFC 1122 §4.1.3.4 MUST a wrong checksum drops the datagram in silence",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      w.send(odd(w, true, 18, 0x1234));
      await w.expectCall("udp_recv 100", "EAGAIN");
      await w.expectNone("answer", (f) => f.isV4 && f.protocol === 1);
    },
  },
  {
    title: "RFC 768 a length of less than eight, or beyond the packet, drops the datagram",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      w.send(odd(w, true, 7, 0));
      w.send(odd(w, true, 19, 0));
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title: "RFC 768 what the packet holds beyond the length is not delivered",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      w.send(odd(w, true, 14, 0));
      await w.expectCall("udp_recv 100", "6");
    },
  },
  {
    title: "RFC 768 a source port of zero is allowed",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      w.send(w.ip4(17, [0, 0, ...u16(7000), 0, 12, 0, 0, ...counting(4)]));
      await w.expectCall("udp_recv 100", "4");
    },
  },
  ...([true, false] as const).map((isV4) => ({
    title: `RFC 1122 §4.1.3.4 MUST what is sent over IPv${isV4 ? 4 : 6} has a right checksum`,
    run: async (w: World) => {
      await w.call(`udp_bind ${isV4 ? "0.0.0.0" : "::"} 7000`);
      const to = isV4 ? w.text4(2) : w.text6(2);
      await w.expectCall(`udp_sendto ${to} 9000 21`, "21");
      const sent = await w.expect("the datagram", (f) => f.isV4 === isV4 && f.protocol === 17);
      const f = isV4 ? { src: w.h4, dst: w.p4 } : { src: w.h6, dst: w.p6 };
      assert.deepEqual(checksum(w.pseudo(isV4, 17, 29, f), sent.payload), [0, 0]);
      assert.deepEqual(sent.payload.slice(0, 6), [...u16(7000), ...u16(9000), 0, 29]);
    },
  })),
  {
    title: "RFC 1122 §4.1.3.6 MUST a source that is no single host is dropped",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      for (const src of [
        [255, 255, 255, 255],
        [224, 0, 0, 9],
      ]) {
        w.send(w.ip4(17, w.udp(true, 7000, counting(5), { src }), { src }));
      }
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title: "RFC 1122 §4.1.3.5 a connected socket takes datagrams of its peer only",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      await w.call(`udp_connect ${w.text4(2)} 9000`);
      const src = w.other4(3);
      w.send(w.ip4(17, w.udp(true, 7000, counting(5), { src }), { src }));
      await w.expectCall("udp_recv 100", "EAGAIN");
      w.send(w.ip4(17, w.udp(true, 7000, counting(6))));
      await w.expectCall("udp_recv 100", "6");
    },
  },
];
