/** `Host.ping`: echo requests one after the other, and what came back. */
import { EAGAIN, EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { IpAddress } from "../base/ip-address.js";
import { clearTimeout, nowMs, setTimeout } from "../base/timers.js";
import { abortError, onAbort } from "./endpoint.js";
import type { Host } from "./host.js";
import type { PingSocket } from "./ping-socket.js";

export interface PingOptions {
  /** Requests to send: 1 if not given. */
  readonly count?: number;
  /** Bytes of data in each: 56 if not given. */
  readonly bytes?: number;
  /** How long to wait for each reply: 1,000 if not given. */
  readonly timeoutMs?: number;
  /** Least time from one request to the next; the next goes out when the reply is there. */
  readonly intervalMs?: number;
  readonly ttl?: number;
  readonly signal?: AbortSignal;
}

export interface PingReply {
  readonly sequence: number;
  readonly bytes: number;
  readonly ttl: number;
  readonly roundTripMs: number;
  readonly address: string;
}

export interface PingSummary {
  readonly sent: number;
  readonly replies: readonly PingReply[];
  /** ICMP errors that came instead of replies, as POSIX codes. */
  readonly errors: readonly string[];
}

const MAX_BYTES = 65_507;

export async function ping(
  host: Host,
  address: IpAddress,
  options: PingOptions,
): Promise<PingSummary> {
  const count = options.count ?? 1;
  const bytes = options.bytes ?? 56;
  if (!(count >= 1)) throw invalid(`expected a count of 1 or more, got ${count}`);
  if (!(bytes >= 0 && bytes <= MAX_BYTES)) {
    throw invalid(`expected 0 to ${MAX_BYTES} bytes, got ${bytes}`);
  }
  const socket = host.stack.pingSocket();
  if (options.ttl !== undefined) socket.set("IP_TTL", options.ttl);
  const pinger = new Pinger(host, socket, address, bytes);
  try {
    for (let sequence = 1; sequence <= count; sequence++) {
      const startedMs = nowMs();
      await pinger.once(sequence, options);
      const pauseMs = (options.intervalMs ?? 0) - (nowMs() - startedMs);
      if (pauseMs > 0 && sequence < count) await pinger.wait(pauseMs, options.signal);
    }
  } finally {
    host.detach(socket);
    socket.close();
  }
  return { sent: count, replies: pinger.replies, errors: pinger.errors };
}

const invalid = (hint: string): NetError => new NetError(EINVAL, { syscall: "ping", hint });

class Pinger {
  readonly replies: PingReply[] = [];
  readonly errors: string[] = [];
  private readonly host: Host;
  private readonly socket: PingSocket;
  private readonly to: IpAddress;
  private readonly data: Uint8Array;
  private readonly into: Uint8Array;
  private sequence = 0;
  private sentAtUs = 0;
  private whenAnswered: (error?: NetError) => void = () => {};

  constructor(host: Host, socket: PingSocket, to: IpAddress, bytes: number) {
    this.host = host;
    this.socket = socket;
    this.to = to;
    this.data = new Uint8Array(bytes).map((_, i) => i);
    this.into = new Uint8Array(MAX_BYTES);
    host.attach(socket, {
      onReady: () => this.collect(),
      onHostClosed: (error) => this.whenAnswered(error),
    });
  }

  /** One request; settles with its reply, an error about it, or when the time is over. */
  async once(sequence: number, options: PingOptions): Promise<void> {
    this.sequence = sequence & 0xffff;
    this.host.enter();
    this.sentAtUs = this.host.stack.nowUs;
    const result = this.socket.send(this.to, sequence, this.data);
    this.host.kick();
    if (result < 0) {
      throw new NetError(result, { syscall: "ping", address: this.to.toString() });
    }
    await this.wait(options.timeoutMs ?? 1_000, options.signal);
  }

  /** Until the reply is there, at most this long. */
  wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: NetError): void => {
        clearTimeout(timer);
        stopListening();
        this.whenAnswered = () => {};
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => end(), ms);
      const stopListening = onAbort(signal, () => end(abortError(signal!, "ping")));
      this.whenAnswered = end;
    });
  }

  private collect(): void {
    for (;;) {
      const n = this.socket.receive(this.into);
      if (n === -EAGAIN) return;
      if (n < 0) {
        this.errors.push(new NetError(n).code);
        this.whenAnswered();
        continue;
      }
      if (this.socket.sequence !== this.sequence) continue; // a late reply to an earlier request
      this.replies.push({
        sequence: this.sequence,
        bytes: n,
        ttl: this.socket.ttl,
        roundTripMs: Math.max(0, this.socket.rxTimeUs - this.sentAtUs) / 1_000,
        address: this.socket.from.toString(),
      });
      this.whenAnswered();
    }
  }
}
