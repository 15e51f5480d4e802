/**
 * A connection's figures, as Linux's `struct tcp_info` names them. Times are in microseconds and
 * say so; the shim converts where Linux counts in milliseconds.
 */
export interface TcpInfo {
  /** `State` of state.ts; the numbers are Linux's. */
  state: number;
  /** 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss. */
  caState: number;
  /** Consecutive retransmission timeouts without progress. */
  retransmits: number;
  /** Unanswered keepalive or window probes. */
  probes: number;
  backoff: number;
  /** Bits as TCPI_OPT_: timestamps 1, SACK 2, window scale 4, ECN 8, ECN seen 16. */
  options: number;
  sndWscale: number;
  rcvWscale: number;
  rtoUs: number;
  atoUs: number;
  sndMss: number;
  rcvMss: number;
  /** Segments in flight. */
  unacked: number;
  sacked: number;
  lost: number;
  retrans: number;
  lastDataSentUs: number;
  lastDataRecvUs: number;
  lastAckRecvUs: number;
  pmtuBytes: number;
  rcvSsthreshBytes: number;
  rttUs: number;
  rttVarUs: number;
  /** In segments, as Linux has it. */
  sndSsthresh: number;
  sndCwnd: number;
  advMss: number;
  reordering: number;
  rcvRttUs: number;
  rcvSpaceBytes: number;
  totalRetrans: number;
  bytesAcked: number;
  bytesReceived: number;
  segsOut: number;
  segsIn: number;
  notsentBytes: number;
  minRttUs: number;
  dataSegsIn: number;
  dataSegsOut: number;
  pacingRateBytesPerSec: number;
  deliveryRateBytesPerSec: number;
  delivered: number;
  deliveredCe: number;
  bytesSent: number;
  bytesRetrans: number;
  dsackDups: number;
  reordSeen: number;
  rcvOoopack: number;
  sndWndBytes: number;
  rcvWndBytes: number;
}
