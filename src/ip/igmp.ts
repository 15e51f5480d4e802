/**
 * IGMP, the host's side: version 3 (RFC 3376), and 2 and 1 while such a querier is heard (RFC 2236,
 * RFC 1112). Messages only; when to send them is `group-reports.ts`.
 */

import { fold } from "../base/checksum.js";
import { IpAddress } from "../base/ip-address.js";
import { NEVER, US_PER_MS, US_PER_S } from "../base/time.js";
import { NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as wire from "../wire/igmp.js";
import * as protocols from "../wire/ip-protocol.js";
import { GroupReports, type Query, type ReportRecord, type ReportSender } from "./group-reports.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import type { PacketInfo } from "./packet-info.js";
import { SendOptions } from "./send-options.js";
import type { SourceFilter } from "./source-filter.js";
import type { Transport } from "./transport.js";

const ALL_SYSTEMS = 0xe000_0001 | 0;
const ALL_ROUTERS: IpAddress = IpAddress.parse("224.0.0.2");
const ALL_V3_ROUTERS: IpAddress = IpAddress.parse("224.0.0.22");
/** Precedence "internetwork control" (RFC 3376 §4). */
const TOS = 0xc0;
/** Sources that fit into a report of one packet. */
const MAX_RECORD_BYTES = 1400;

export class Igmp implements Transport {
  private readonly ip: Ip;
  private readonly options = new SendOptions();
  private readonly hosts = new Map<Interface, GroupReports>();

  constructor(ip: Ip) {
    this.ip = ip;
    this.options.ttl = 1;
    this.options.tos = TOS;
    this.options.routerAlert = true;
    this.options.multicastLoop = false;
  }

  addInterface(iface: Interface): void {
    const sender: ReportSender = {
      sendReport: (records) => this.sendReport(iface, records),
      sendOldReport: (version, group) => this.sendOld(iface, version, group),
      sendLeave: (group) => this.sendMessage(iface, wire.LEAVE, group, ALL_ROUTERS),
      isSilent: (group) => group.w3 === ALL_SYSTEMS,
    };
    this.hosts.set(iface, new GroupReports(iface.filters, sender, this.ip.random, true));
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

  receive(slot: number, info: PacketInfo): void {
    const b = this.ip.bytes;
    const at = info.l4At;
    let reason = wire.check(b, at, info.end);
    if (reason === Drop.NONE && fold(this.ip.checksum.sum(at, info.end - at, 0)) !== 0xffff) {
      reason = Drop.IGMP_BAD_CHECKSUM;
    }
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
      return;
    }
    const iface = this.ip.interfaceAt(info.ifIndex);
    const host = iface === null ? undefined : this.hosts.get(iface);
    const type = wire.type(b, at);
    if (host !== undefined && type === wire.QUERY) {
      host.takeQuery(this.queryOf(at, info.end), this.ip.nowUs);
      this.ip.deadline.lower(host.nextDeadlineUs());
    } else if (host !== undefined && (type === wire.REPORT_V2 || type === wire.REPORT_V1)) {
      host.heardReport(IpAddress.v4(wire.group(b, at)), this.ip.nowUs);
    }
    this.ip.pool.give(slot);
  }

  private queryOf(at: number, end: number): Query {
    const b = this.ip.bytes;
    const version = wire.queryVersion(b, at, end);
    const group = wire.group(b, at);
    const sources: IpAddress[] = [];
    const n = version === 3 ? wire.sourceCount(b, at) : 0;
    for (let i = 0; i < n; i++) sources.push(IpAddress.v4(wire.source(b, at, i)));
    return {
      version,
      group: group === 0 ? null : IpAddress.v4(group),
      sources,
      maxResponseUs: wire.maxResponseMs(b, at, end) * US_PER_MS,
      robustness: version === 3 ? wire.robustness(b, at) : 0,
      intervalUs: version === 3 ? wire.queryIntervalSec(b, at) * US_PER_S : 0,
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
    let end = at + wire.HEADER_BYTES;
    let i = from;
    for (; i < records.length; i++) {
      const { type, group, sources } = records[i]!;
      const n = Math.min(sources.length, (MAX_RECORD_BYTES - wire.RECORD_BYTES) >>> 2);
      if (i > from && end - at + wire.RECORD_BYTES + 4 * n > MAX_RECORD_BYTES) break;
      const r = end;
      end = wire.putRecord(b, r, type, group.w3, n);
      for (let s = 0; s < n; s++) wire.putRecordSource(b, r, s, sources[s]!.w3);
    }
    wire.writeReport(b, at, i - from);
    this.finish(iface, slot, end, ALL_V3_ROUTERS);
    return i;
  }

  private sendOld(iface: Interface, version: number, group: IpAddress): void {
    this.sendMessage(iface, version === 1 ? wire.REPORT_V1 : wire.REPORT_V2, group, group);
  }

  private sendMessage(iface: Interface, type: number, group: IpAddress, to: IpAddress): void {
    const slot = this.ip.nd.takePacket();
    if (slot === NO_SLOT) return;
    const at = this.ip.pool.at[slot]!;
    wire.write(this.ip.bytes, at, type, 0, group.w3);
    this.finish(iface, slot, at + wire.HEADER_BYTES, to);
  }

  private finish(iface: Interface, slot: number, end: number, to: IpAddress): void {
    const { pool } = this.ip;
    pool.end[slot] = end;
    wire.fillChecksum(pool.bytes, pool.at[slot]!, end);
    const from = iface.primary4()?.address ?? IpAddress.v4(0);
    this.ip.count("groupReportsOut");
    const path = this.ip.resolver.groupPath(iface, to, from);
    this.ip.send(slot, path, protocols.IGMP, this.options);
  }

  pathError(): void {}

  nextDeadlineUs(): number {
    let soonest = NEVER;
    for (const host of this.hosts.values()) soonest = Math.min(soonest, host.nextDeadlineUs());
    return soonest;
  }

  runTimers(nowUs: number): void {
    for (const host of this.hosts.values()) host.runTimers(nowUs);
  }
}
