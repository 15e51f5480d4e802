/** RFC 2236, RFC 3376 (IGMP), RFC 2710, RFC 3810 (MLD): membership and its reports. */
import assert from "node:assert/strict";
import {
  address,
  type Bytes,
  checksum,
  counting,
  type IpCase,
  type Seen,
  same,
  u16,
  type World,
} from "../ip-world.js";

const GROUP4 = [239, 1, 2, 3];
const GROUP6 = address("ff05::1:3");
const ALL_V3 = [224, 0, 0, 22];
const IS_EX = 2;
const TO_IN = 3;
const TO_EX = 4;
const ALLOW = 5;
const BLOCK = 6;

/** Whether the frame is an IGMPv3 report with the record; sources count when given. */
function isReport3(type: number | readonly number[], group: Bytes, sources?: readonly Bytes[]) {
  const types: readonly number[] = typeof type === "number" ? [type] : type;
  return (f: Seen): boolean => {
    if (!f.isV4 || f.protocol !== 2 || f.payload[0] !== 0x22) return false;
    for (let at = 8, n = f.payload[7]!; n > 0; n--) {
      const count = f.payload[at + 2]! * 256 + f.payload[at + 3]!;
      const list = f.payload.slice(at + 8, at + 8 + 4 * count);
      if (types.includes(f.payload[at]!) && same(f.payload.slice(at + 4, at + 8), group)) {
        if (sources === undefined || same(list, sources.flat())) return true;
      }
      at += 8 + 4 * count;
    }
    return false;
  };
}

function isReportMld2(type: number, group: Bytes) {
  return (f: Seen): boolean => {
    if (!f.isIcmp(143)) return false;
    for (let at = 8, n = f.payload[7]!; n > 0; n--) {
      const count = f.payload[at + 2]! * 256 + f.payload[at + 3]!;
      if (f.payload[at] === type && same(f.payload.slice(at + 4, at + 20), group)) return true;
      at += 20 + 16 * count;
    }
    return false;
  };
}

function igmp(w: World, message: Bytes, dst: Bytes): void {
  const sum = checksum(message);
  const filled = [...message.slice(0, 2), ...sum, ...message.slice(4)];
  const to = [1, 0, 0x5e, dst[1]! & 127, dst[2]!, dst[3]!];
  w.send(w.ip4(2, filled, { dst, ttl: 1, to, options: [148, 4, 0, 0] }));
}

const query3 = (w: World, group: Bytes, maxResp: number): void =>
  igmp(w, [0x11, maxResp, 0, 0, ...group, 2, 125, 0, 0], group[0] === 0 ? [224, 0, 0, 1] : group);

function queryMld(w: World, group: Bytes, delayMs: number, isV2: boolean): void {
  const src = [...address("fe80::").slice(0, 8), 0, 0, 0, 0, 0, 0, 0, 9];
  const dst = group.every((b) => b === 0) ? address("ff02::1") : group;
  const rest = [...u16(delayMs), 0, 0, ...group, ...(isV2 ? [2, 125, 0, 0] : [])];
  const message = w.icmp6(130, 0, rest, { src, dst });
  const options = [58, 0, 5, 2, 0, 0, 1, 0];
  w.send(
    w.ip6(0, [...options, ...message], { src, dst, hops: 1, to: [0x33, 0x33, ...dst.slice(12)] }),
  );
}

async function joined4(w: World): Promise<void> {
  await w.expectCall("udp_bind 0.0.0.0 7000", "0");
  await w.expectCall("udp_join 239.1.2.3", "0");
  await w.expect("a report", isReport3(TO_EX, GROUP4));
  await w.wait(1.3); // the report's repetitions
  w.forget();
}

async function joined6(w: World): Promise<void> {
  await w.expectCall("udp_bind :: 7000", "0");
  await w.expectCall("udp_join ff05::1:3", "0");
  await w.expect("a report", isReportMld2(TO_EX, GROUP6));
  await w.wait(1.3);
  w.forget();
}

export const GROUPS: readonly IpCase[] = [
  {
    title: "RFC 3376 §4.2, §5.1 a join is reported: to 224.0.0.22, TTL 1, with router alert",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      await w.expectCall("udp_join 239.1.2.3", "0");
      const report = await w.expect("a report", isReport3(TO_EX, GROUP4, []));
      assert.deepEqual([report.dst, report.ttl], [ALL_V3, 1]);
      assert.deepEqual(report.at(20, 4), [148, 4, 0, 0]);
      assert.deepEqual(report.to, [1, 0, 0x5e, 0, 0, 22]);
      assert.deepEqual(checksum(report.payload), [0, 0]);
    },
  },
  {
    title: "RFC 3376 §5.1 the report of a change is repeated",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      await w.call("udp_join 239.1.2.3");
      await w.expect("a report", isReport3(TO_EX, GROUP4));
      await w.expect("another one", isReport3(TO_EX, GROUP4), 1.2);
    },
  },
  {
    title: "RFC 3376 §5.1 a leave is reported",
    run: async (w) => {
      await joined4(w);
      await w.expectCall("udp_leave 239.1.2.3", "0");
      await w.expect("a report", isReport3(TO_IN, GROUP4, []));
    },
  },
  {
    title: "RFC 3376 §5.2 a general query is answered within its time, by what is joined",
    run: async (w) => {
      await joined4(w);
      query3(w, [0, 0, 0, 0], 10);
      await w.expect("a report", isReport3(IS_EX, GROUP4), 1.1);
    },
  },
  {
    title: "RFC 3376 §5.2 a query about the group is answered, about another one not",
    run: async (w) => {
      await joined4(w);
      query3(w, [239, 9, 9, 9], 5);
      await w.expectNone("report", (f) => f.isV4 && f.protocol === 2, 0.7);
      query3(w, GROUP4, 5);
      await w.expect("a report", isReport3(IS_EX, GROUP4), 0.6);
    },
  },
  {
    title: "RFC 3376 §6 224.0.0.1 is never reported",
    run: async (w) => {
      query3(w, [0, 0, 0, 0], 5);
      await w.expectNone("report", isReport3([IS_EX, TO_EX], [224, 0, 0, 1]), 0.7);
    },
  },
  {
    title: "RFC 3376 §5.1 sources that are added and removed are reported as such",
    run: async (w) => {
      const [a, b] = [
        [10, 1, 1, 1],
        [10, 1, 1, 2],
      ];
      await w.call("udp_bind 0.0.0.0 7000");
      await w.expectCall("udp_join_source 239.1.2.3 10.1.1.1", "0");
      await w.expect("a report", isReport3([ALLOW, TO_IN], GROUP4, [a]));
      await w.wait(1.3);
      w.forget();
      await w.expectCall("udp_join_source 239.1.2.3 10.1.1.2", "0");
      await w.expect("a report", isReport3(ALLOW, GROUP4, [b]));
      await w.wait(1.3);
      w.forget();
      await w.expectCall("udp_leave_source 239.1.2.3 10.1.1.1", "0");
      await w.expect("a report", isReport3(BLOCK, GROUP4, [a]));
    },
  },
  {
    title: "RFC 3376 §3 only sources that are asked for are delivered",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      await w.call(`udp_join_source 239.1.2.3 ${w.text4(2)}`);
      const to = [1, 0, 0x5e, 1, 2, 3];
      const from = w.other4(3);
      const send = (src: Bytes, n: number): void => {
        const f = { src, dst: GROUP4 };
        w.send(w.ip4(17, w.udp(true, 7000, counting(n), f), { ...f, to }));
      };
      send(from, 5);
      send(w.p4, 6);
      await w.expectCall("udp_recv 100", "6");
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title: "RFC 1112 §7.2 a group that nobody joined is not delivered",
    run: async (w) => {
      await w.call("udp_bind 0.0.0.0 7000");
      const f = { dst: GROUP4 };
      const to = [1, 0, 0x5e, 1, 2, 3];
      w.send(w.ip4(17, w.udp(true, 7000, counting(5), f), { ...f, to }));
      await w.expectCall("udp_recv 100", "EAGAIN");
    },
  },
  {
    title: "RFC 3376 §7.2.1 after a version 2 query, reports are of version 2, to the group",
    run: async (w) => {
      await joined4(w);
      igmp(w, [0x11, 10, 0, 0, 0, 0, 0, 0], [224, 0, 0, 1]);
      const report = await w.expect(
        "a report",
        (f) => f.isV4 && f.protocol === 2 && f.payload[0] === 0x16,
        1.1,
      );
      assert.deepEqual([report.dst, report.ttl], [GROUP4, 1]);
      assert.deepEqual(report.payload.slice(4), GROUP4);
    },
  },
  {
    title: "RFC 2236 §3 a leave is announced to all routers when version 2 is spoken",
    run: async (w) => {
      await joined4(w);
      igmp(w, [0x11, 5, 0, 0, 0, 0, 0, 0], [224, 0, 0, 1]);
      await w.expect("a report", (f) => f.isV4 && f.protocol === 2 && f.payload[0] === 0x16, 0.6);
      await w.call("udp_leave 239.1.2.3");
      const leave = await w.expect(
        "a leave",
        (f) => f.isV4 && f.protocol === 2 && f.payload[0] === 0x17,
      );
      assert.deepEqual(leave.dst, [224, 0, 0, 2]);
    },
  },
  {
    title: "RFC 3810 §5.2 a join is reported: to ff02::16, hop limit 1, with router alert",
    run: async (w) => {
      await w.call("udp_bind :: 7000");
      await w.expectCall("udp_join ff05::1:3", "0");
      const report = await w.expect("a report", isReportMld2(TO_EX, GROUP6));
      assert.deepEqual([report.dst, report.ttl], [address("ff02::16"), 1]);
      assert.deepEqual(report.at(42, 4), [5, 2, 0, 0]);
      assert.deepEqual(report.to, [0x33, 0x33, 0, 0, 0, 0x16]);
    },
  },
  {
    title: "RFC 3810 §6.1 a leave is reported",
    run: async (w) => {
      await joined6(w);
      await w.expectCall("udp_leave ff05::1:3", "0");
      await w.expect("a report", isReportMld2(TO_IN, GROUP6));
    },
  },
  {
    title: "RFC 3810 §6.2 a general query is answered within its time",
    run: async (w) => {
      await joined6(w);
      queryMld(w, address("::"), 1000, true);
      await w.expect("a report", isReportMld2(IS_EX, GROUP6), 1.1);
    },
  },
  {
    title: "RFC 3810 §8.2.1 after a version 1 query, reports are of version 1, to the group",
    run: async (w) => {
      await joined6(w);
      queryMld(w, address("::"), 1000, false);
      const report = await w.expect("a report", (f) => f.isIcmp(131) && same(f.dst, GROUP6), 1.1);
      assert.deepEqual(report.payload.slice(8), GROUP6);
    },
  },
];
