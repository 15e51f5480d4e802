/**
 * Multicast listener discovery, the host's side: version 2 (RFC 3810), and 1 while such a querier is
 * heard (RFC 2710). Messages only; when to send them is `group-reports.ts`.
 */
import { ANY6, IpAddress } from "../base/ip-address.js";
import { NEVER, US_PER_MS, US_PER_S } from "../base/time.js";
import { NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as icmpv6 from "../wire/icmpv6.js";
import * as wire from "../wire/mld.js";
import { GroupReports, type Query, type ReportRecord, type ReportSender } from "./group-reports.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import type { PacketInfo } from "./packet-info.js";
import { SendOptions } from "./send-options.js";
import type { SourceFilter } from "./source-filter.js";

const ALL_NODES: IpAddress = IpAddress.parse("ff02::1");
const ALL_ROUTERS: IpAddress = IpAddress.parse("ff02::2");
const ALL_V2_ROUTERS: IpAddress = IpAddress.parse("ff02::16");
/** What fits into a report under the smallest MTU, with headers. */
const MAX_RECORD_BYTES = 1200;
const ADDRESS_BYTES = 16;

export class Mld {
  private readonly ip: Ip;
  private readonly options = new SendOptions();
  private readonly hosts = new Map<Interface, GroupReports>();

  constructor(ip: Ip) {
    this.ip = ip;
    this.options.ttl = wire.HOP_LIMIT;
    this.options.routerAlert = true;
    this.options.multicastLoop = false;
  }

  addInterface(iface: Interface): void {
    const sender: ReportSender = {
      sendReport: (records) => this.sendReport(iface, records),
      sendOldReport: (_version, group) =>
        this.sendMessage(iface, icmpv6.MLD_REPORT_V1, group, group),
      sendLeave: (group) => this.sendMessage(iface, icmpv6.MLD_DONE, group, ALL_ROUTERS),
      // All-nodes, and scopes that stay on the host (RFC 3810 §6).
      isSilent: (group) => group.equals(ALL_NODES) || ((group.w0 >>> 16) & 15) <= 1,
    };
    this.hosts.set(iface, new GroupReports(iface.filters, sender, this.ip.random, false));
  }

  removeInterface(iface: Interface): void {
    this.hosts.delete(iface);
  }

  filterChanged(
    iface: Interface,
    group: IpAddress,
    before: SourceFilter,
    after: SourceFilter,
  ): void {
    const host = this.hosts.get(iface);
    if (host === undefined) return;
    host.filterChanged(group, before, after, this.ip.nowUs);
    this.ip.deadline.lower(host.nextDeadlineUs());
  }

  /** A listener discovery message whose checksum is right; takes the slot. */
  receive(slot: number, info: PacketInfo): void {
    const b = this.ip.bytes;
    const at = info.l4At;
    const reason = wire.check(b, at, info.end, info.l3At);
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
      return;
    }
    const iface = this.ip.interfaceAt(info.ifIndex);
    const host = iface === null ? undefined : this.hosts.get(iface);
    const type = icmpv6.type(b, at);
    if (host !== undefined && type === icmpv6.MLD_QUERY) {
      host.takeQuery(this.queryOf(at, info.end), this.ip.nowUs);
      this.ip.deadline.lower(host.nextDeadlineUs());
    } else if (host !== undefined && type === icmpv6.MLD_REPORT_V1) {
      host.heardReport(this.addressAt(at + wire.GROUP), this.ip.nowUs);
    }
    this.ip.pool.give(slot);
  }

  private addressAt(at: number): IpAddress {
    const a = new IpAddress();
    a.read6(this.ip.bytes, at);
    return a;
  }

  private queryOf(at: number, end: number): Query {
    const b = this.ip.bytes;
    const isV2 = wire.queryVersion(b, at, end) === 2;
    const sources: IpAddress[] = [];
    const n = isV2 ? wire.sourceCount(b, at) : 0;
    for (let i = 0; i < n; i++) sources.push(this.addressAt(wire.sourceAt(b, at, i)));
    return {
      version: isV2 ? 3 : 2,
      group: wire.isGeneral(b, at) ? null : this.addressAt(at + wire.GROUP),
      sources,
      maxResponseUs: wire.maxResponseMs(b, at, end) * US_PER_MS,
      robustness: isV2 ? wire.robustness(b, at) : 0,
      intervalUs: isV2 ? wire.queryIntervalSec(b, at) * US_PER_S : 0,
    };
  }

  private sendReport(iface: Interface, records: readonly ReportRecord[]): void {
    for (let i = 0; i < records.length; ) i = this.sendSome(iface, records, i);
  }

  /** One report with as many records as fit, from record `from`; returns the next one. */
  private sendSome(iface: Interface, records: readonly ReportRecord[], from: number): number {
    const slot = this.ip.nd.takePacket();
    if (slot === NO_SLOT) return records.length;
    const { pool } = this.ip;
    const b = pool.bytes;
    const at = pool.at[slot]!;
    let end = at + wire.REPORT_BYTES;
    let i = from;
    for (; i < records.length; i++) {
      const { type, group, sources } = records[i]!;
      const room = (MAX_RECORD_BYTES - wire.RECORD_BYTES) / ADDRESS_BYTES;
      const n = Math.min(sources.length, Math.floor(room));
      const needed = wire.RECORD_BYTES + ADDRESS_BYTES * n;
      if (i > from && end - at + needed > MAX_RECORD_BYTES) break;
      const r = end;
      end = wire.putRecord(b, r, type, group, n);
      for (let s = 0; s < n; s++) sources[s]!.write6(b, wire.recordSourceAt(b, r, s));
    }
    wire.writeReport(b, at, i - from);
    this.finish(iface, slot, end, ALL_V2_ROUTERS);
    return i;
  }

  private sendMessage(iface: Interface, type: number, group: IpAddress, to: IpAddress): void {
    const slot = this.ip.nd.takePacket();
    if (slot === NO_SLOT) return;
    const at = this.ip.pool.at[slot]!;
    wire.write(this.ip.bytes, at, type, 0, group);
    this.finish(iface, slot, at + wire.MESSAGE_BYTES, to);
  }

  private finish(iface: Interface, slot: number, end: number, to: IpAddress): void {
    this.ip.pool.end[slot] = end;
    const from = iface.linkLocal6()?.address ?? ANY6;
    this.ip.count("groupReportsOut");
    const path = this.ip.resolver.groupPath(iface, to, from);
    this.ip.icmp6.finishAndSend(slot, path, this.options);
  }

  nextDeadlineUs(): number {
    let soonest = NEVER;
    for (const host of this.hosts.values()) soonest = Math.min(soonest, host.nextDeadlineUs());
    return soonest;
  }

  runTimers(nowUs: number): void {
    for (const host of this.hosts.values()) host.runTimers(nowUs);
  }
}
