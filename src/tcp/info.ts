/** TCP_INFO of a row. */
import type { TcpCore } from "./core.js";
import { Retry, retries } from "./retries.js";
import { diff } from "./seq.js";
import { TcbFlags, TcbOptions } from "./tcb.js";
import type { TcpInfo } from "./tcp-info.js";
import { openBytes, rcvShift, sndShift } from "./window.js";

/** TCPI_OPT_ bits by ours. */
const OPTION_BITS: readonly (readonly [ours: number, linux: number])[] = [
  [TcbOptions.TIMESTAMPS, 1],
  [TcbOptions.SACK, 2],
  [TcbOptions.SCALING, 4],
  [TcbOptions.ECN, 8],
];
const ECN_SEEN = 16;

const sinceUs = (t: TcpCore, ms: number): number =>
  ms === 0 ? 0 : Math.max(0, ((t.nowMs & 0x7fffffff) - ms) * 1000);

/** A snapshot of the selected row; allocates. */
export function infoOf(t: TcpCore): TcpInfo {
  const c = t.c;
  const mss = Math.max(1, c.sndMss);
  const inFlight = diff(c.sndNxt, c.sndUna);
  let options = c.has(TcbFlags.ECN_SEEN) ? ECN_SEEN : 0;
  for (const [ours, linux] of OPTION_BITS) if ((c.options & ours) !== 0) options |= linux;
  const segments = (bytes: number): number => Math.ceil(bytes / mss);
  return {
    state: c.state,
    caState: c.recoveryState,
    retransmits: retries(c, Retry.TIMEOUTS),
    probes: retries(c, Retry.WINDOW_PROBES) + retries(c, Retry.KEEPALIVES),
    backoff: Math.max(c.backoff, retries(c, Retry.PROBE_BACKOFF)),
    options,
    sndWscale: sndShift(c.scales),
    rcvWscale: rcvShift(c.scales),
    rtoUs: c.rtoUs,
    atoUs: c.delackUs,
    sndMss: c.sndMss,
    rcvMss: c.rcvMss,
    unacked: segments(inFlight),
    sacked: segments(c.sackedBytes),
    lost: segments(c.lostBytes),
    retrans: segments(c.retransBytes),
    lastDataSentUs: sinceUs(t, c.lastSentMs),
    lastDataRecvUs: sinceUs(t, c.lastDataRcvMs),
    lastAckRecvUs: Math.max(0, t.nowUs - c.lastRcvUs),
    pmtuBytes: t.host.segmentLimitBytes(c) + (c.local2 === 0xffff ? 20 : 40),
    rcvSsthreshBytes: c.rcvBufBytes,
    rttUs: c.srttUs,
    rttVarUs: c.rttvarUs,
    sndSsthresh: segments(c.ssthresh),
    sndCwnd: Math.floor(c.cwnd / mss),
    advMss: c.ownMss & 0xffff,
    reordering: c.reorderSegments,
    rcvRttUs: c.rcvRttUs,
    rcvSpaceBytes: c.rcvSpaceBytes,
    totalRetrans: c.totalRetrans,
    bytesAcked: c.bytesAcked,
    bytesReceived: c.bytesReceived,
    segsOut: c.segsOut >>> 0,
    segsIn: c.segsIn >>> 0,
    notsentBytes: Math.max(0, c.sndQueuedBytes - inFlight),
    minRttUs: c.minRttUs,
    dataSegsIn: c.dataSegsIn >>> 0,
    dataSegsOut: c.dataSegsOut >>> 0,
    pacingRateBytesPerSec: t.recovery.pacingBytesPerSec(c),
    deliveryRateBytesPerSec: c.srttUs > 0 ? Math.floor((c.cwnd * 1_000_000) / c.srttUs) : 0,
    delivered: c.deliveredSegments,
    deliveredCe: c.ecnCeSegments,
    bytesSent: c.bytesSent,
    bytesRetrans: c.bytesRetrans,
    dsackDups: c.dsackSegments,
    reordSeen: 0,
    rcvOoopack: c.outOfOrderSegs >>> 0,
    sndWndBytes: c.sndWnd,
    rcvWndBytes: openBytes(t),
  };
}
