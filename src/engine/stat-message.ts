/**
 * What `millrace stat` asks an engine and gets: text over a stream socket beside the control socket
 * (`statPath` of socket-path.ts). The asker writes one {@link StatRequest} as a line of JSON; the
 * engine answers with one {@link StatLine} a line and closes the connection.
 *
 * The first line is the engine's, then one for each interface, session and socket.
 */

/** Which lines are wanted; all by default. */
export interface StatRequest {
  /** Sockets' `tcp` internals, too: they cost a look at every connection. False by default. */
  readonly internals?: boolean;
  /** Only the engine's line. False by default. */
  readonly brief?: boolean;
}

export type StatLine = StatEngine | StatInterface | StatSession | StatSocket;

export interface StatEngine {
  readonly kind: "engine";
  readonly pid: number;
  readonly version: string;
  /** `latency`, `balanced` or `idle`. */
  readonly profile: string;
  /** Microseconds since the engine started. */
  readonly upUs: number;
  /** User number whose programs it serves. */
  readonly uid: number;
  /** `engine.turns` and so on, then the stack's drops and errors that are not 0; name to value. */
  readonly counters: Readonly<Record<string, number>>;
}

export interface StatInterface {
  readonly kind: "interface";
  readonly name: string;
  readonly index: number;
  /** `tap`, `xdp`, `packet`, `memif`, `loopback`, `internal`. */
  readonly device: string;
  readonly isUp: boolean;
  readonly mtuBytes: number;
  /** With prefix length: `10.77.0.1/16`. */
  readonly addresses: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
}

/** A process that uses the engine. */
export interface StatSession {
  readonly kind: "session";
  readonly session: number;
  readonly pid: number;
  readonly program: string;
  readonly applicationId: string;
  /** Its own address, or "". */
  readonly address: string;
  readonly profile: string;
  /** Calls that it made of the engine, submissions taken, wakes written to its waiters. */
  readonly counters: Readonly<Record<string, number>>;
}

export interface StatSocket {
  readonly kind: "socket";
  readonly protocol: "tcp" | "udp";
  readonly family: "IPv4" | "IPv6";
  /** As `ss` names them: ESTAB, LISTEN, SYN-SENT, …; UNCONN or ESTAB for UDP; KERNEL when not accelerated. */
  readonly state: string;
  /** Bytes that the program has not read; for listeners connections that wait. */
  readonly recvQ: number;
  /** Bytes that the peer has not acknowledged; for listeners the backlog. */
  readonly sendQ: number;
  /**
   * `10.77.0.1`; wildcards are `0.0.0.0`, `::` of IPv6 alone, `*` of both families and of the kernel's IPv6
   * sockets, of which that is not known. Port 0: none.
   */
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly uid: number;
  /** Who has it; several after fork or passing. Empty: the program has closed it, TCP still works on it. */
  readonly holders: readonly StatHolder[];
  readonly accelerated: boolean;
  /** Why it is accelerated or stays with the kernel. */
  readonly reason: string;
  /** Inode of the kernel socket, 0 when there is none. */
  readonly inode: number;
  /** Datagrams that found no room. */
  readonly drops: number;
  /** Counters of the data path: bytes and datagrams each way. */
  readonly rxBytes: number;
  readonly txBytes: number;
  /** TCP_INFO by the names of tcp/tcp-info.ts; only when asked for. */
  readonly tcp?: Readonly<Record<string, number>>;
}

export interface StatHolder {
  readonly session: number;
  readonly pid: number;
  readonly fd: number;
  readonly program: string;
}
