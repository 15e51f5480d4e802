/**
 * What IGMPv3 and MLDv2 hosts have in common (RFC 3376 §5, RFC 3810 §6): reports of changes, sent
 * several times, and answers to queries, at random within the time that the querier allows; and the
 * older versions' reports and leaves while an older querier is heard (RFC 3376 §7, RFC 3810 §8).
 *
 * One per interface and family. The messages themselves are `igmp.ts`'s and `mld.ts`'s.
 * A change that comes before the repeats of the last one are sent is merged with it, as §5.1 asks.
 */
import type { IpAddress } from "../base/ip-address.js";
import type { Random } from "../base/random.js";
import { NEVER, US_PER_S } from "../base/time.js";
import * as igmp from "../wire/igmp.js";
import type { MulticastFilters } from "./multicast.js";
import {
  common,
  FilterMode,
  NO_SOURCES,
  type SourceFilter,
  union,
  without,
} from "./source-filter.js";

/** RFC 3376 §8, RFC 3810 §9. */
export const DEFAULT_ROBUSTNESS = 2;
export const UNSOLICITED_INTERVAL_US = US_PER_S;
/** Of the older versions (RFC 2236 §8.10, RFC 2710 §7.10). */
export const OLD_UNSOLICITED_INTERVAL_US = 10 * US_PER_S;
/** Sources that queriers asked about and that are kept; beyond it the answer is about the group. */
const MAX_ASKED_SOURCES = 400;
const DEFAULT_QUERY_INTERVAL_US = 125 * US_PER_S;

/** A record of a report (the types are `wire/igmp.ts`'s). */
export interface ReportRecord {
  readonly type: number;
  readonly group: IpAddress;
  readonly sources: readonly IpAddress[];
}

/** Writes and sends the messages of a family. */
export interface ReportSender {
  /** Versions: 3 is IGMPv3 or MLDv2; 2 is IGMPv2 or MLDv1; 1 is IGMPv1. */
  sendReport(records: readonly ReportRecord[]): void;
  sendOldReport(version: number, group: IpAddress): void;
  sendLeave(group: IpAddress): void;
  /** Groups that are never reported: all-systems, all-nodes, host-only scopes. */
  isSilent(group: IpAddress): boolean;
}

/** A query, taken apart. */
export interface Query {
  readonly version: number;
  /** Null: general. */
  readonly group: IpAddress | null;
  readonly sources: readonly IpAddress[];
  readonly maxResponseUs: number;
  /** 0: unsaid. */
  readonly robustness: number;
  readonly intervalUs: number;
}

/** A change that is still being repeated. */
interface Change {
  readonly group: IpAddress;
  /** Repeats of the change of mode; 0: only sources changed. */
  modeLeft: number;
  /** Sources newly wanted or no longer wanted, each with its repeats. */
  allowed: Map<string, SourceRepeat>;
  blocked: Map<string, SourceRepeat>;
}

interface SourceRepeat {
  readonly source: IpAddress;
  left: number;
}

/** An answer that waits. */
interface Answer {
  readonly group: IpAddress;
  /** Empty: about the whole group. */
  sources: readonly IpAddress[];
  atUs: number;
}

export class GroupReports {
  private readonly filters: MulticastFilters;
  private readonly sender: ReportSender;
  private readonly random: Random;
  private readonly isV4: boolean;
  private robustness = DEFAULT_ROBUSTNESS;
  private queryIntervalUs = DEFAULT_QUERY_INTERVAL_US;
  private readonly changes = new Map<string, Change>();
  private changesAtUs = NEVER;
  private generalAtUs = NEVER;
  private readonly answers = new Map<string, Answer>();
  /** Until when queriers of version 1 and 2 count as present. */
  private readonly olderUntilUs = [0, 0, 0];
  /** Old versions: groups that are still to be reported of our own accord, and those we reported last. */
  private readonly oldReports = new Map<string, { group: IpAddress; left: number; atUs: number }>();
  private readonly reportedLast = new Set<string>();

  constructor(filters: MulticastFilters, sender: ReportSender, random: Random, isV4: boolean) {
    this.filters = filters;
    this.sender = sender;
    this.random = random;
    this.isV4 = isV4;
  }

  /** The version to speak now: the oldest that a querier was heard to speak. */
  version(nowUs: number): number {
    if (nowUs < this.olderUntilUs[1]!) return 1;
    return nowUs < this.olderUntilUs[2]! ? 2 : 3;
  }

  // Changes

  /** The merged filter of a group changed. */
  filterChanged(group: IpAddress, before: SourceFilter, after: SourceFilter, nowUs: number): void {
    if (this.sender.isSilent(group)) return;
    if (this.version(nowUs) < 3) {
      this.oldChange(group, before, after, nowUs);
      return;
    }
    const key = group.toString();
    const change = this.changes.get(key) ?? newChange(group.copy());
    this.changes.set(key, change);
    if (before.mode !== after.mode) {
      change.modeLeft = this.robustness;
      change.allowed.clear();
      change.blocked.clear();
    } else if (change.modeLeft === 0) {
      const gained = after.mode === FilterMode.INCLUDE ? after.sources : before.sources;
      const lost = after.mode === FilterMode.INCLUDE ? before.sources : after.sources;
      this.note(change.allowed, change.blocked, without(gained, lost));
      this.note(change.blocked, change.allowed, without(lost, gained));
    }
    this.sendChanges(nowUs);
  }

  private note(
    to: Map<string, SourceRepeat>,
    from: Map<string, SourceRepeat>,
    sources: readonly IpAddress[],
  ): void {
    for (const source of sources) {
      from.delete(source.toString());
      to.set(source.toString(), { source, left: this.robustness });
    }
  }

  /** Reports every change that has repeats left, and sets the time of the next repeat. */
  private sendChanges(nowUs: number): void {
    const records: ReportRecord[] = [];
    for (const [key, change] of this.changes) {
      this.recordsOf(change, records);
      if (change.modeLeft === 0 && change.allowed.size === 0 && change.blocked.size === 0) {
        this.changes.delete(key);
      }
    }
    if (records.length > 0) this.sender.sendReport(records);
    this.changesAtUs =
      this.changes.size === 0 ? NEVER : nowUs + 1 + this.random.below(UNSOLICITED_INTERVAL_US);
  }

  private recordsOf(change: Change, records: ReportRecord[]): void {
    const { group } = change;
    if (change.modeLeft > 0) {
      const now = this.filters.find(group)?.merged ?? NO_SOURCES;
      const isExclude = now.mode === FilterMode.EXCLUDE;
      const type = isExclude ? igmp.CHANGE_TO_EXCLUDE : igmp.CHANGE_TO_INCLUDE;
      records.push({ type, group, sources: now.sources });
      change.modeLeft--;
      return;
    }
    const allowed = takeRepeats(change.allowed);
    const blocked = takeRepeats(change.blocked);
    if (allowed.length > 0) {
      records.push({ type: igmp.ALLOW_NEW_SOURCES, group, sources: allowed });
    }
    if (blocked.length > 0) {
      records.push({ type: igmp.BLOCK_OLD_SOURCES, group, sources: blocked });
    }
  }

  /** Old versions know groups only: a report when the first source is wanted, a leave after the last. */
  private oldChange(
    group: IpAddress,
    before: SourceFilter,
    after: SourceFilter,
    nowUs: number,
  ): void {
    const key = group.toString();
    const had = isWanted(before);
    const has = isWanted(after);
    if (has && !had) {
      this.oldReports.set(key, { group: group.copy(), left: this.robustness, atUs: nowUs });
      this.runOldReports(nowUs);
    } else if (had && !has) {
      this.oldReports.delete(key);
      this.answers.delete(key);
      if (this.reportedLast.delete(key) && this.version(nowUs) === 2) this.sender.sendLeave(group);
    }
  }

  private runOldReports(nowUs: number): void {
    for (const [key, r] of this.oldReports) {
      if (r.atUs > nowUs) continue;
      this.sendOld(r.group, nowUs);
      r.left--;
      r.atUs = nowUs + 1 + this.random.below(OLD_UNSOLICITED_INTERVAL_US);
      if (r.left === 0) this.oldReports.delete(key);
    }
  }

  private sendOld(group: IpAddress, nowUs: number): void {
    this.reportedLast.add(group.toString());
    this.sender.sendOldReport(this.version(nowUs), group);
  }

  // Queries

  /** RFC 3376 §5.2 and §7.2.1. */
  takeQuery(q: Query, nowUs: number): void {
    if (q.version < 3) {
      this.olderUntilUs[q.version] = nowUs + this.robustness * this.queryIntervalUs + 10 * US_PER_S;
      this.changes.clear();
      this.changesAtUs = NEVER;
    } else {
      if (q.robustness > 0) this.robustness = q.robustness;
      if (q.intervalUs > 0) this.queryIntervalUs = q.intervalUs;
    }
    const atUs = nowUs + 1 + this.random.below(Math.max(1, q.maxResponseUs));
    if (this.generalAtUs <= atUs) return;
    if (q.group === null) {
      if (this.version(nowUs) < 3) this.answerAll(atUs);
      else this.generalAtUs = atUs;
      return;
    }
    this.noteAnswer(q.group, q.sources, atUs);
  }

  private answerAll(atUs: number): void {
    for (const g of this.filters) {
      if (g.address.isV4 === this.isV4) this.noteAnswer(g.address, [], atUs);
    }
  }

  private noteAnswer(group: IpAddress, sources: readonly IpAddress[], atUs: number): void {
    if (this.sender.isSilent(group) || this.filters.find(group) === null) return;
    const key = group.toString();
    const waiting = this.answers.get(key);
    if (waiting === undefined) {
      this.answers.set(key, { group: group.copy(), sources, atUs });
      return;
    }
    const isWhole = sources.length === 0 || waiting.sources.length === 0;
    const asked = isWhole ? [] : union(waiting.sources, sources);
    waiting.sources = asked.length > MAX_ASKED_SOURCES ? [] : asked;
    waiting.atUs = Math.min(waiting.atUs, atUs);
  }

  /** Old versions: somebody else reported the group, so we need not (RFC 2236 §3). */
  heardReport(group: IpAddress, nowUs: number): void {
    if (this.version(nowUs) === 3) return;
    const key = group.toString();
    this.answers.delete(key);
    this.oldReports.delete(key);
    this.reportedLast.delete(key);
  }

  nextDeadlineUs(): number {
    let soonest = Math.min(this.changesAtUs, this.generalAtUs);
    for (const a of this.answers.values()) soonest = Math.min(soonest, a.atUs);
    for (const r of this.oldReports.values()) soonest = Math.min(soonest, r.atUs);
    return soonest;
  }

  runTimers(nowUs: number): void {
    if (nowUs >= this.changesAtUs) this.sendChanges(nowUs);
    if (nowUs >= this.generalAtUs) this.answerGeneral(nowUs);
    this.runOldReports(nowUs);
    const records: ReportRecord[] = [];
    for (const [key, a] of this.answers) {
      if (a.atUs > nowUs) continue;
      this.answers.delete(key);
      if (this.version(nowUs) < 3) this.sendOld(a.group, nowUs);
      else this.answer(a, records);
    }
    if (records.length > 0) this.sender.sendReport(records);
  }

  /** The current state of every group. */
  private answerGeneral(nowUs: number): void {
    this.generalAtUs = NEVER;
    if (this.version(nowUs) < 3) {
      this.answerAll(nowUs);
      return;
    }
    const records: ReportRecord[] = [];
    for (const g of this.filters) {
      if (g.address.isV4 !== this.isV4 || this.sender.isSilent(g.address)) continue;
      records.push(stateOf(g.address, g.merged));
    }
    if (records.length > 0) this.sender.sendReport(records);
  }

  /** RFC 3376 §5.2 (3): about a group, or about those of the asked sources that we want. */
  private answer(a: Answer, records: ReportRecord[]): void {
    const now = this.filters.find(a.group)?.merged ?? NO_SOURCES;
    if (!isWanted(now)) return;
    if (a.sources.length === 0) {
      records.push(stateOf(a.group, now));
      return;
    }
    const isInclude = now.mode === FilterMode.INCLUDE;
    const sources = isInclude ? common(a.sources, now.sources) : without(a.sources, now.sources);
    if (sources.length > 0) records.push({ type: igmp.MODE_IS_INCLUDE, group: a.group, sources });
  }
}

const isWanted = (f: SourceFilter): boolean =>
  f.mode === FilterMode.EXCLUDE || f.sources.length > 0;

const stateOf = (group: IpAddress, f: SourceFilter): ReportRecord => ({
  type: f.mode === FilterMode.EXCLUDE ? igmp.MODE_IS_EXCLUDE : igmp.MODE_IS_INCLUDE,
  group,
  sources: f.sources,
});

const newChange = (group: IpAddress): Change => ({
  group,
  modeLeft: 0,
  allowed: new Map(),
  blocked: new Map(),
});

/** Sources that have repeats left, each with one fewer afterwards. */
function takeRepeats(from: Map<string, SourceRepeat>): IpAddress[] {
  const sources: IpAddress[] = [];
  for (const [key, r] of from) {
    sources.push(r.source);
    r.left--;
    if (r.left === 0) from.delete(key);
  }
  return sources;
}
