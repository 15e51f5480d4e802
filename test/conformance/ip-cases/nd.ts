/** RFC 4861 (neighbour discovery) and RFC 4862 (duplicate address detection). */
import assert from "node:assert/strict";
import { address, type Bytes, type IpCase, type Seen, same, type World } from "../ip-world.js";

const isAdvertisement = (f: Seen): boolean => f.isIcmp(136);
const isUdp = (f: Seen): boolean => f.isV6 && f.upper === 17;
const solicits = (target: Bytes) => (f: Seen) =>
  f.isIcmp(135) && same(f.payload.slice(8, 24), target);
const UNSPECIFIED = address("::");

interface Solicitation {
  readonly src?: Bytes;
  readonly dst?: Bytes;
  readonly hops?: number;
  readonly code?: number;
  readonly target?: Bytes;
  readonly options?: Bytes;
  readonly from?: Bytes;
}

/** A neighbour solicitation for the host, from neighbour 3 unless it says otherwise. */
function solicit(w: World, s: Solicitation = {}): void {
  const mac = s.from ?? w.otherMac(3);
  const f = { src: s.src ?? w.other6(3), dst: s.dst ?? w.solicitedNode };
  const options = s.options ?? [1, 1, ...mac];
  const message = w.icmp6(135, s.code ?? 0, [0, 0, 0, 0, ...(s.target ?? w.h6), ...options], f);
  const isGroup = f.dst[0] === 0xff;
  const to = isGroup ? [0x33, 0x33, ...f.dst.slice(12)] : w.hostMac;
  w.send(w.ip6(58, message, { ...f, hops: s.hops ?? 255, to, from: mac }));
}

function advertise(w: World, flags: number, mac: Bytes, last = 3): void {
  const f = { src: w.other6(last), dst: w.h6 };
  const message = w.icmp6(136, 0, [flags, 0, 0, 0, ...w.other6(last), 2, 1, ...mac], f);
  w.send(w.ip6(58, message, { ...f, hops: 255, from: mac }));
}

export const ND: readonly IpCase[] = [
  {
    title: "RFC 4861 §7.2.4 a solicitation is answered: solicited, override, with the link address",
    run: async (w) => {
      solicit(w);
      const answer = await w.expect("an advertisement", isAdvertisement);
      assert.deepEqual([answer.src, answer.dst, answer.ttl], [w.h6, w.other6(3), 255]);
      assert.deepEqual(answer.to, w.otherMac(3));
      assert.equal(answer.payload[4]! & 0xe0, 0x60);
      assert.deepEqual(answer.payload.slice(8), [...w.h6, 2, 1, ...w.hostMac]);
    },
  },
  {
    title: "RFC 4861 §7.2.4 a solicitation to the address itself is answered",
    run: async (w) => {
      solicit(w, { dst: w.h6 });
      await w.expect("an advertisement", isAdvertisement);
    },
  },
  {
    title: "RFC 4861 §7.1.1 a solicitation whose hop limit is not 255 is dropped",
    run: async (w) => {
      solicit(w, { hops: 254 });
      await w.expectNone("advertisement", isAdvertisement);
    },
  },
  {
    title: "RFC 4861 §7.1.1 a solicitation whose code is not 0 is dropped",
    run: async (w) => {
      solicit(w, { code: 1 });
      await w.expectNone("advertisement", isAdvertisement);
    },
    notOnLinux: "it does not look at the code",
  },
  {
    title: "RFC 4861 §7.1.1 a solicitation of a group's address is dropped",
    run: async (w) => {
      solicit(w, { target: address("ff02::1") });
      await w.expectNone("advertisement", isAdvertisement);
    },
  },
  {
    title: "RFC 4861 §7.1.1 a solicitation with an option of length 0 is dropped",
    run: async (w) => {
      solicit(w, { options: [1, 0, ...w.otherMac(3)] });
      await w.expectNone("advertisement", isAdvertisement);
    },
  },
  {
    title: "RFC 4861 §7.1.1 a solicitation from :: with a link address is dropped",
    run: async (w) => {
      solicit(w, { src: UNSPECIFIED });
      await w.expectNone("advertisement", isAdvertisement);
    },
  },
  {
    title:
      "RFC 4861 §7.1.1 a solicitation from :: that is not to the solicited-node group is dropped",
    run: async (w) => {
      solicit(w, { src: UNSPECIFIED, dst: w.h6, options: [] });
      await w.expectNone("advertisement", isAdvertisement);
    },
  },
  {
    title: "RFC 4861 §4.3 options that are unknown are skipped",
    run: async (w) => {
      solicit(w, { options: [200, 1, 0, 0, 0, 0, 0, 0, 1, 1, ...w.otherMac(3)] });
      await w.expect("an advertisement", isAdvertisement);
    },
  },
  {
    title: "RFC 4861 §7.2.3 a solicitation of another's address is not answered",
    run: async (w) => {
      solicit(w, { target: w.other6(0x77) });
      await w.expectNone("advertisement", isAdvertisement);
    },
  },
  {
    title: "RFC 4862 §5.4.3, RFC 4861 §7.2.4 a test for duplicates is answered to all nodes",
    run: async (w) => {
      solicit(w, { src: UNSPECIFIED, options: [] });
      const answer = await w.expect("an advertisement", isAdvertisement);
      assert.deepEqual(answer.dst, address("ff02::1"));
      assert.equal(answer.payload[4]! & 0x40, 0, "not solicited");
    },
  },
  {
    title: "RFC 4861 §7.2.2 an unknown neighbour is solicited, and the packet waits for the answer",
    run: async (w) => {
      await w.call("udp_bind :: 7000");
      await w.expectCall(`udp_sendto ${w.text6(3)} 9000 20`, "20");
      const question = await w.expect("a solicitation", solicits(w.other6(3)));
      assert.equal(question.ttl, 255);
      assert.deepEqual(question.dst, [
        ...address("ff02::1:ff00:0").slice(0, 13),
        ...w.other6(3).slice(13),
      ]);
      assert.deepEqual(question.to, [0x33, 0x33, 0xff, ...w.other6(3).slice(13)]);
      assert.deepEqual(question.payload.slice(24, 32), [1, 1, ...w.hostMac]);
      advertise(w, 0x60, w.otherMac(3));
      const sent = await w.expect("the datagram", isUdp);
      assert.deepEqual(sent.to, w.otherMac(3));
    },
  },
  {
    title: "RFC 4861 §7.2.2 after three solicitations a second apart no more follow",
    run: async (w) => {
      await w.call("udp_bind :: 7000");
      await w.call(`udp_connect ${w.text6(3)} 9000`);
      await w.expectCall("udp_send 20", "20");
      const times: number[] = [];
      for (let i = 0; i < 3; i++) {
        times.push((await w.expect("a solicitation", solicits(w.other6(3)), 1.5)).atUs);
      }
      for (const i of [1, 2]) {
        const gap = times[i]! - times[i - 1]!;
        assert.ok(gap > 900_000 && gap < 1_300_000, `${gap} us`);
      }
      await w.expectNone("fourth solicitation", solicits(w.other6(3)), 1.4);
    },
  },
  {
    title: "RFC 4861 §7.2.5 an advertisement that nobody asked for makes no entry",
    run: async (w) => {
      advertise(w, 0x20, w.otherMac(3));
      await w.call("udp_bind :: 7000");
      await w.call(`udp_sendto ${w.text6(3)} 9000 20`);
      await w.expect("a solicitation", solicits(w.other6(3)));
    },
  },
  {
    title: "RFC 4861 §7.2.5 an advertisement with override changes a known link address",
    run: async (w) => {
      solicit(w);
      await w.expect("an advertisement", isAdvertisement);
      advertise(w, 0x20, w.otherMac(4));
      await w.call("udp_bind :: 7000");
      await w.call(`udp_sendto ${w.text6(3)} 9000 20`);
      const sent = await w.expect("the datagram", isUdp);
      assert.deepEqual(sent.to, w.otherMac(4));
    },
  },
  {
    title: "RFC 4861 §7.2.5 an advertisement without override does not",
    run: async (w) => {
      solicit(w);
      await w.expect("an advertisement", isAdvertisement);
      advertise(w, 0x00, w.otherMac(4));
      await w.call("udp_bind :: 7000");
      await w.call(`udp_sendto ${w.text6(3)} 9000 20`);
      const sent = await w.expect("the datagram", isUdp);
      assert.deepEqual(sent.to, w.otherMac(3));
    },
  },
  {
    title: "RFC 4861 §7.3.3 STALE, used: DELAY for five seconds, then PROBE by unicast",
    run: async (w) => {
      solicit(w);
      await w.expect("an advertisement", isAdvertisement);
      await w.call("udp_bind :: 7000");
      await w.call(`udp_sendto ${w.text6(3)} 9000 20`);
      const sent = await w.expect("the datagram", isUdp);
      assert.deepEqual(sent.to, w.otherMac(3));
      const probe = await w.expect("a probe", solicits(w.other6(3)), 6.5);
      assert.deepEqual([probe.dst, probe.to], [w.other6(3), w.otherMac(3)]);
      const delayUs = probe.atUs - sent.atUs;
      assert.ok(delayUs > 4_500_000 && delayUs < 6_500_000, `${delayUs} us`);
    },
  },
  {
    title: "RFC 4861 §7.3.3 an advertisement that answers the probe ends probing",
    run: async (w) => {
      solicit(w);
      await w.expect("an advertisement", isAdvertisement);
      await w.call("udp_bind :: 7000");
      await w.call(`udp_sendto ${w.text6(3)} 9000 20`);
      await w.expect("a probe", solicits(w.other6(3)), 6.5);
      advertise(w, 0x60, w.otherMac(3));
      await w.expectNone("second probe", solicits(w.other6(3)), 1.5);
    },
  },
];
