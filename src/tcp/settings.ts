/**
 * Settings of the TCP engine: named after the Linux sysctls of net.ipv4 (`tcp_syn_retries` is
 * `synRetries`), with the unit in the name. Defaults are Linux's, because programs and peers are
 * used to them.
 *
 * Deviation: buffer sizes count payload bytes only; Linux counts the memory of its packet buffers
 * as well. So `rmemDefaultBytes` is half of tcp_rmem's 131,072 and gives the same first window.
 */
export interface TcpSettings {
  /** tcp_syn_retries: SYNs sent again before `connect` fails with ETIMEDOUT. */
  readonly synRetries: number;
  /** tcp_synack_retries: SYN-ACKs sent again before a handshake is given up. */
  readonly synackRetries: number;
  /** tcp_syncookies: 0 never, 1 when the SYN queue is full, 2 always. */
  readonly synCookies: number;
  /** tcp_max_syn_backlog: handshakes under way per listener, beside its backlog. */
  readonly maxSynBacklog: number;
  /**
   * As many handshakes may be under way however small the backlog is. Deviation: 1 in Linux. Batches of SYNs
   * arrive here before the first ACK, and a connection by SYN cookie is worse: segments as on an Ethernet,
   * and a reset when its ACK is lost to a full accept queue and its second segment comes before the first again.
   */
  readonly minSynBacklog: number;
  /** net.core.somaxconn: upper limit of a listener's backlog. */
  readonly somaxconn: number;
  /** tcp_abort_on_overflow: reset instead of ignoring the handshake when the accept queue is full. */
  readonly abortOnOverflow: boolean;
  readonly windowScaling: boolean;
  readonly timestamps: boolean;
  readonly sack: boolean;
  readonly dsack: boolean;
  /** tcp_ecn: 0 off, 1 ask for it, 2 accept it when asked. */
  readonly ecn: number;
  /**
   * tcp_rfc1337: ignore RST in TIME-WAIT. Deviation: off, as in Linux; RFC 1337 asks for it, but then
   * a peer that comes back with lower numbers waits for the end of TIME-WAIT.
   */
  readonly rfc1337: boolean;
  /** tcp_fin_timeout. */
  readonly finTimeoutUs: number;
  /** Length of TIME-WAIT. */
  readonly timeWaitUs: number;
  /** tcp_tw_reuse, for SYNs that arrive (RFC 6191). */
  readonly timeWaitReuse: boolean;
  /**
   * tcp_tw_reuse, for connections that begin here: whether they may take the place of one in TIME-WAIT whose
   * last timestamp is a second old. As in Linux by default only towards this host.
   */
  readonly timeWaitConnect: "never" | "local" | "always";
  /** tcp_max_tw_buckets: rows in TIME-WAIT; above it connections end without the wait. */
  readonly maxTimeWait: number;
  /** tcp_max_orphans: closed connections that still have something to send. */
  readonly maxOrphans: number;
  /** tcp_orphan_retries. */
  readonly orphanRetries: number;
  /** tcp_retries2: timeouts without progress before the connection ends. */
  readonly retries2: number;
  /** tcp_keepalive_time. */
  readonly keepaliveTimeSeconds: number;
  /** tcp_keepalive_intvl. */
  readonly keepaliveIntervalSeconds: number;
  readonly keepaliveProbes: number;
  /** tcp_rmem: smallest, first and largest receive buffer. */
  readonly rmemMinBytes: number;
  readonly rmemDefaultBytes: number;
  readonly rmemMaxBytes: number;
  /** tcp_wmem. */
  readonly wmemMinBytes: number;
  readonly wmemDefaultBytes: number;
  readonly wmemMaxBytes: number;
  /** tcp_moderate_rcvbuf: receive buffer autotuning. */
  readonly moderateRcvbuf: boolean;
  /** tcp_notsent_lowat; 0 no limit. */
  readonly notsentLowatBytes: number;
  /** tcp_challenge_ack_limit: challenge ACKs a second for the whole stack (RFC 5961 §7). */
  readonly challengeAckLimit: number;
  /** tcp_invalid_ratelimit: least time between ACKs that answer a connection's invalid segments. */
  readonly invalidRatelimitUs: number;
  /** tcp_min_snd_mss. */
  readonly minSndMss: number;
  /** net.ipv4.route.min_adv_mss. */
  readonly minAdvMss: number;
  /** tcp_autocorking and CORK: how long a partial segment may be held back. */
  readonly corkUs: number;
  /** Shortest and longest delay of an ACK: TCP_DELACK_MIN and TCP_DELACK_MAX. */
  readonly delackMinUs: number;
  readonly delackMaxUs: number;
  /** Longest time between window probes: TCP_RTO_MAX. */
  readonly maxRtoUs: number;
  /** Slots that one connection's out-of-order queue may hold. */
  readonly reassemblySlots: number;
}

export const DEFAULT_TCP_SETTINGS: TcpSettings = {
  synRetries: 6,
  synackRetries: 5,
  synCookies: 1,
  maxSynBacklog: 4096,
  minSynBacklog: 256,
  somaxconn: 4096,
  abortOnOverflow: false,
  windowScaling: true,
  timestamps: true,
  sack: true,
  dsack: true,
  ecn: 2,
  rfc1337: false,
  finTimeoutUs: 60_000_000,
  timeWaitUs: 60_000_000,
  timeWaitReuse: true,
  timeWaitConnect: "local",
  maxTimeWait: 262_144,
  maxOrphans: 65_536,
  orphanRetries: 8,
  retries2: 15,
  keepaliveTimeSeconds: 7_200,
  keepaliveIntervalSeconds: 75,
  keepaliveProbes: 9,
  rmemMinBytes: 4_096,
  rmemDefaultBytes: 65_536,
  rmemMaxBytes: 6_291_456,
  wmemMinBytes: 4_096,
  wmemDefaultBytes: 65_536,
  wmemMaxBytes: 4_194_304,
  moderateRcvbuf: true,
  notsentLowatBytes: 0,
  challengeAckLimit: 1_000,
  invalidRatelimitUs: 500_000,
  minSndMss: 48,
  minAdvMss: 256,
  corkUs: 200_000,
  delackMinUs: 40_000,
  delackMaxUs: 200_000,
  maxRtoUs: 120_000_000,
  reassemblySlots: 4_096,
};
