/** RFC 826 (ARP) and RFC 5227 (address conflicts). */
import assert from "node:assert/strict";
import { type Bytes, type IpCase, type Seen, same, type World } from "../ip-world.js";

const ZERO_MAC = [0, 0, 0, 0, 0, 0];
const isRequestFor = (ip: Bytes) => (f: Seen) =>
  f.isArp && f.at(7)[0] === 1 && same(f.at(24, 4), ip);
const isReply = (f: Seen): boolean => f.isArp && f.at(7)[0] === 2;
const isUdp = (f: Seen): boolean => f.isV4 && f.protocol === 17;

/** The neighbour asks for the host, who learns its address. */
async function learn(w: World, last: number, mac: Bytes): Promise<void> {
  w.send(w.broadcast(0x806, w.arp(1, mac, w.other4(last), ZERO_MAC, w.h4)));
  await w.expect("an ARP reply", isReply);
}

export const ARP: readonly IpCase[] = [
  {
    title: "RFC 826 a request for the host's address is answered to the asker alone",
    run: async (w) => {
      const mac = w.otherMac(3);
      w.send(
        w.ethernet(
          0x806,
          w.arp(1, mac, w.other4(3), ZERO_MAC, w.h4),
          [255, 255, 255, 255, 255, 255],
          mac,
        ),
      );
      const reply = await w.expect("an ARP reply", isReply);
      assert.deepEqual(reply.to, mac);
      assert.deepEqual(reply.at(0, 28), w.arp(2, w.hostMac, w.h4, mac, w.other4(3)));
    },
  },
  {
    title: "RFC 826 a request for another address is not answered",
    run: async (w) => {
      w.send(w.broadcast(0x806, w.arp(1, w.mac, w.p4, ZERO_MAC, w.other4(77))));
      await w.expectNone("ARP reply", isReply);
    },
  },
  {
    title: "RFC 826 whoever asks for the host is known to it afterwards",
    run: async (w) => {
      await learn(w, 3, w.otherMac(3));
      await w.call("udp_bind 0.0.0.0 7000");
      await w.expectCall(`udp_sendto ${w.text4(3)} 9000 20`, "20");
      const sent = await w.expect("the datagram", isUdp);
      assert.deepEqual(sent.to, w.otherMac(3));
    },
  },
  {
    title:
      "RFC 826 an unknown neighbour is asked for by broadcast, and the packet waits for the answer",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      await w.expectCall(`udp_sendto ${w.text4(3)} 9000 20`, "20");
      const request = await w.expect("an ARP request", isRequestFor(w.other4(3)));
      assert.deepEqual(request.to, [255, 255, 255, 255, 255, 255]);
      assert.deepEqual(request.at(8, 10), [...w.hostMac, ...w.h4]);
      w.send(w.ethernet(0x806, w.arp(2, w.otherMac(3), w.other4(3), w.hostMac, w.h4)));
      const sent = await w.expect("the datagram", isUdp);
      assert.deepEqual(sent.to, w.otherMac(3));
    },
  },
  {
    title: "RFC 1122 §2.3.2.1 requests are not repeated more often than once a second",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      await w.expectCall(`udp_sendto ${w.text4(3)} 9000 20`, "20");
      const first = await w.expect("an ARP request", isRequestFor(w.other4(3)));
      const second = await w.expect("another one", isRequestFor(w.other4(3)), 1.5);
      assert.ok(second.atUs - first.atUs >= 950_000, `after ${second.atUs - first.atUs} us`);
    },
  },
  {
    title: "RFC 826 a reply that nobody asked for teaches nothing",
    run: async (w) => {
      w.send(w.ethernet(0x806, w.arp(2, w.otherMac(3), w.other4(3), w.hostMac, w.h4)));
      await w.call("udp_bind 0.0.0.0 7000");
      await w.expectCall(`udp_sendto ${w.text4(3)} 9000 20`, "20");
      await w.expect("an ARP request", isRequestFor(w.other4(3)));
    },
  },
  {
    title: "RFC 826 a known neighbour's new link address is taken from what it broadcasts",
    run: async (w) => {
      await learn(w, 3, w.otherMac(3));
      await w.wait(1.2);
      w.send(w.broadcast(0x806, w.arp(1, w.otherMac(4), w.other4(3), ZERO_MAC, w.other4(3))));
      await w.call("udp_bind 0.0.0.0 7000");
      await w.expectCall(`udp_sendto ${w.text4(3)} 9000 20`, "20");
      const sent = await w.expect("the datagram", isUdp);
      assert.deepEqual(sent.to, w.otherMac(4));
    },
  },
  {
    title: "RFC 5227 §2.1.1 a probe for the host's address is answered",
    run: async (w) => {
      w.send(w.broadcast(0x806, w.arp(1, w.otherMac(3), [0, 0, 0, 0], ZERO_MAC, w.h4)));
      const reply = await w.expect("an ARP reply", isReply);
      assert.deepEqual(reply.at(8, 10), [...w.hostMac, ...w.h4]);
    },
  },
  {
    title: "RFC 826 other hardware and protocol types and lengths are ignored",
    run: async (w) => {
      const good = w.arp(1, w.otherMac(3), w.other4(3), ZERO_MAC, w.h4);
      for (const [i, value] of [
        [1, 99],
        [3, 99],
        [4, 8],
        [5, 16],
      ] as const) {
        w.send(
          w.broadcast(
            0x806,
            good.map((b, j) => (j === i ? value : b)),
          ),
        );
      }
      await w.expectNone("ARP reply", isReply);
    },
  },
];
