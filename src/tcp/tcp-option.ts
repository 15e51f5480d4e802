/**
 * Options of a connection or listener, set and read as int32 by `Tcp.setOption` and `getOption`.
 *
 * Numbers below 256 are Linux's of level IPPROTO_TCP; 256 and up are SOL_SOCKET's plus 256. What a
 * listener has set, the connections that it accepts inherit.
 */
export const TcpOption = {
  /** Send small segments at once: no Nagle (RFC 1122 §4.2.3.4). 0 or 1. */
  NODELAY: 1,
  /** Largest segment to announce and to send, in bytes. */
  MAXSEG: 2,
  /** Send full segments only until cleared, or 200 ms have passed. 0 or 1. */
  CORK: 3,
  /** Seconds of silence before the first keepalive probe. */
  KEEPIDLE: 4,
  /** Seconds between keepalive probes. */
  KEEPINTVL: 5,
  /** Unanswered probes that end the connection. */
  KEEPCNT: 6,
  /** SYN retransmissions of a connection attempt. */
  SYNCNT: 7,
  /** Seconds that an orphan stays in FIN-WAIT-2; -1 for no stay at all, 0 for the default. */
  LINGER2: 8,
  /** Seconds that a listener waits for data before it offers the connection; 0 off. */
  DEFER_ACCEPT: 9,
  /** Upper limit of the advertised window, in bytes; 0 none. */
  WINDOW_CLAMP: 10,
  /** Acknowledge at once (1) or delayed (0); not permanent, as in Linux. */
  QUICKACK: 12,
  /** TCP_CONGESTION: `Algorithm` of recovery.ts, 0 CUBIC, 1 Reno. */
  CONGESTION: 13,
  /** Milliseconds that sent data may stay unacknowledged (RFC 5482); 0 for the retry limit. */
  USER_TIMEOUT: 18,
  /** Writable only while fewer unsent bytes than this are queued; 0 no limit of its own. */
  NOTSENT_LOWAT: 25,
  /** SO_SNDBUF: bytes the send queue takes; setting it ends autotuning. */
  SNDBUF: 256 + 7,
  /** SO_RCVBUF: bytes of unread data; setting it ends autotuning. */
  RCVBUF: 256 + 8,
  /** SO_KEEPALIVE. 0 or 1. */
  KEEPALIVE: 256 + 9,
  /** SO_OOBINLINE: urgent data stay in the stream. 0 or 1. */
  OOBINLINE: 256 + 10,
  /** SO_LINGER: -1 off, else seconds; 0 makes `close` send RST. */
  LINGER: 256 + 13,
  /** SO_RCVLOWAT: readable from this many bytes on. */
  RCVLOWAT: 256 + 18,
  /** Ours: 0 ECN off, 1 ask for it, 2 accept it when the peer asks (net.ipv4.tcp_ecn). */
  ECN: 512,
} as const;
