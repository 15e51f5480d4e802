/**
 * An error that the user of the library can act on. Bad packets never become one: they become a
 * `Drop` and a counter. Broken invariants never become one either: they are `assert`s.
 *
 * It has the shape of Node's own system errors (`code`, `errno`, `syscall`, `address`, `port`), so
 * programs that look at `err.code === "ECONNREFUSED"` work unchanged.
 */
import { errnoName, errnoText } from "./errno.js";

export interface NetErrorDetails {
  /** What was attempted, as a system call's name: `connect`, `bind`. */
  readonly syscall?: string;
  readonly address?: string;
  readonly port?: number;
  /** What happened, where the words for the error number are about something else. */
  readonly text?: string;
  /** What the user can do about it; becomes part of the message. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class NetError extends Error {
  override readonly name = "NetError";
  /** Stable, a POSIX name, listed in docs/errors.md. */
  readonly code: string;
  /** Negative error number, as Node's system errors carry it. */
  readonly errno: number;
  readonly syscall: string | undefined;
  readonly address: string | undefined;
  readonly port: number | undefined;

  /** `errno` may be given negated (as the polled interface returns it) or not. */
  constructor(errno: number, details: NetErrorDetails = {}) {
    super(
      messageOf(errno, details),
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.errno = -Math.abs(errno);
    this.code = errnoName(errno);
    this.syscall = details.syscall;
    this.address = details.address;
    this.port = details.port;
  }
}

/** `connect ECONNREFUSED 10.0.0.1:80: connection refused; is a server listening there?` */
function messageOf(errno: number, d: NetErrorDetails): string {
  const what = d.syscall === undefined ? "" : `${d.syscall} `;
  const host = d.address?.includes(":") ? `[${d.address}]` : d.address;
  const port = d.port === undefined ? "" : `:${d.port}`;
  const where = host === undefined ? "" : ` ${host}${port}`;
  const hint = d.hint === undefined ? "" : `; ${d.hint}`;
  return `${what}${errnoName(errno)}${where}: ${d.text ?? errnoText(errno)}${hint}`;
}
