/** What a multicast host reports, and when: RFC 3376 §5 and §7, RFC 3810 §6. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import { Random } from "../base/random.js";
import { US_PER_S } from "../base/time.js";
import { GroupReports, type Query, type ReportRecord } from "./group-reports.js";
import { MulticastFilters } from "./multicast.js";
import { ALL_SOURCES, FilterMode, NO_SOURCES } from "./source-filter.js";

const GROUP = IpAddress.parse("239.1.1.1");
const [S1, S2] = [IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.2")];
const TYPES = ["", "IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"];
const include = (...sources: IpAddress[]) => ({ mode: FilterMode.INCLUDE, sources });

/** A host whose messages are written down, one string each. */
function host() {
  const filters = new MulticastFilters();
  const sent: string[] = [];
  const text = (r: ReportRecord): string => `${TYPES[r.type]}(${r.sources.join(",")})`;
  const sender = {
    sendReport: (records: readonly ReportRecord[]) => void sent.push(records.map(text).join(" ")),
    sendOldReport: (version: number) => void sent.push(`v${version} report`),
    sendLeave: () => void sent.push("leave"),
    isSilent: () => false,
  };
  const reports = new GroupReports(filters, sender, new Random(1), true);
  let nowUs = 0;
  filters.listener = {
    filterChanged: (g, before, after) => reports.filterChanged(g, before, after, nowUs),
  };
  const pass = (us: number): string[] => {
    const end = nowUs + us;
    while (reports.nextDeadlineUs() <= end) {
      nowUs = reports.nextDeadlineUs();
      reports.runTimers(nowUs);
    }
    nowUs = end;
    return sent.splice(0);
  };
  const query = (q: Partial<Query>): void => {
    const all = { version: 3, group: null, sources: [], robustness: 0, intervalUs: 0 };
    reports.takeQuery({ ...all, maxResponseUs: US_PER_S, ...q }, nowUs);
  };
  return { filters, reports, pass, query };
}

test("joining and leaving are changes of mode, reported twice each", () => {
  const h = host();
  h.filters.set(1, GROUP, ALL_SOURCES);
  assert.deepEqual(h.pass(5 * US_PER_S), ["TO_EX()", "TO_EX()"]);
  h.filters.set(1, GROUP, NO_SOURCES);
  assert.deepEqual(h.pass(5 * US_PER_S), ["TO_IN()", "TO_IN()"]);
});

test("a second socket that wants no more than the first changes nothing", () => {
  const h = host();
  h.filters.set(1, GROUP, ALL_SOURCES);
  h.pass(5 * US_PER_S);
  h.filters.set(2, GROUP, include(S1));
  h.filters.set(2, GROUP, NO_SOURCES);
  assert.deepEqual(h.pass(5 * US_PER_S), []);
});

test("sources that come and go are ALLOW and BLOCK records", () => {
  const h = host();
  h.filters.set(1, GROUP, include(S1));
  assert.deepEqual(h.pass(5 * US_PER_S), ["ALLOW(10.0.0.1)", "ALLOW(10.0.0.1)"]);
  h.filters.set(1, GROUP, include(S2));
  const change = "ALLOW(10.0.0.2) BLOCK(10.0.0.1)";
  assert.deepEqual(h.pass(5 * US_PER_S), [change, change]);
});

test("a general query is answered once with the state of every group, within its time", () => {
  const h = host();
  h.filters.set(1, GROUP, ALL_SOURCES);
  h.pass(5 * US_PER_S);
  h.query({});
  h.query({});
  assert.deepEqual(h.pass(US_PER_S), ["IS_EX()"]);
});

test("a query about sources is answered for those that are wanted", () => {
  const h = host();
  h.filters.set(1, GROUP, include(S1));
  h.pass(5 * US_PER_S);
  h.query({ group: GROUP, sources: [S1, S2] });
  assert.deepEqual(h.pass(US_PER_S), ["IS_IN(10.0.0.1)"]);
  h.query({ group: GROUP, sources: [S2] });
  assert.deepEqual(h.pass(US_PER_S), []);
});

test("while an older querier is heard its messages are spoken, then version 3 again", () => {
  const h = host();
  h.query({ version: 2 });
  h.filters.set(1, GROUP, ALL_SOURCES);
  assert.deepEqual(h.pass(15 * US_PER_S), ["v2 report", "v2 report"]);
  h.query({ version: 2, maxResponseUs: 10 * US_PER_S });
  h.reports.heardReport(GROUP, 15 * US_PER_S); // somebody else answered
  assert.deepEqual(h.pass(15 * US_PER_S), []);
  h.query({ version: 2 });
  assert.deepEqual(h.pass(15 * US_PER_S), ["v2 report"]);
  h.filters.set(1, GROUP, NO_SOURCES);
  assert.deepEqual(h.pass(5 * US_PER_S), ["leave"]);
  h.pass(400 * US_PER_S);
  h.filters.set(1, GROUP, ALL_SOURCES);
  assert.deepEqual(h.pass(5 * US_PER_S), ["TO_EX()", "TO_EX()"]);
});
