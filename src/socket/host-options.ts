/** What a program says when it asks a host for a socket. */
import { NetError } from "../base/errors.js";
import { Family } from "./linux-options.js";
import type { TcpConnectionOptions } from "./tcp-connection.js";
import type { UdpSocket } from "./udp-socket.js";

export interface ListenOptions extends TcpConnectionOptions {
  /** 0 chooses a free one. */
  readonly port: number;
  /** Local address; every address of both families if not given. */
  readonly address?: string;
  /** Connections that may wait to be accepted; 511 if not given. */
  readonly backlog?: number;
  /** Several servers may share the port (SO_REUSEPORT); connections are spread over them. */
  readonly reusePort?: boolean;
  /** Only IPv6 (IPV6_V6ONLY). */
  readonly ipv6Only?: boolean;
  /** Connections send small segments at once (TCP_NODELAY): what HTTP servers want. */
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  /** Closes the server when aborted. */
  readonly signal?: AbortSignal;
}

export interface ConnectOptions extends TcpConnectionOptions {
  /** The peer's address; `host` is a synonym. */
  readonly address?: string;
  readonly host?: string;
  readonly port: number;
  readonly localAddress?: string;
  readonly localPort?: number;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  /** Gives up the attempt; an established connection is not affected. */
  readonly signal?: AbortSignal;
}

export interface UdpOptions {
  /** 0, or not given, chooses a free one. */
  readonly port?: number;
  /** Local address; every address of both families if not given. */
  readonly address?: string;
  readonly reuseAddress?: boolean;
  readonly reusePort?: boolean;
  readonly broadcast?: boolean;
  readonly ipv6Only?: boolean;
  readonly ttl?: number;
  readonly multicastTtl?: number;
  readonly multicastLoop?: boolean;
  /** Closes the channel when aborted. */
  readonly signal?: AbortSignal;
}

/** Throws `NetError` for what the socket refuses. */
export function applyUdpOptions(socket: UdpSocket, options: UdpOptions): void {
  const set = (
    name: Parameters<UdpSocket["set"]>[0],
    value: number | boolean | undefined,
  ): void => {
    if (value === undefined) return;
    const result = socket.set(name, Number(value));
    if (result < 0) throw new NetError(result, { syscall: "setsockopt", hint: String(name) });
  };
  const is6 = socket.family === Family.INET6;
  set("SO_REUSEADDR", options.reuseAddress);
  set("SO_REUSEPORT", options.reusePort);
  set("SO_BROADCAST", options.broadcast);
  if (is6) set("IPV6_V6ONLY", options.ipv6Only);
  set("IP_TTL", options.ttl);
  set("IP_MULTICAST_TTL", options.multicastTtl);
  set("IP_MULTICAST_LOOP", options.multicastLoop);
  if (!is6) return;
  set("IPV6_UNICAST_HOPS", options.ttl);
  set("IPV6_MULTICAST_HOPS", options.multicastTtl);
  set("IPV6_MULTICAST_LOOP", options.multicastLoop);
}
