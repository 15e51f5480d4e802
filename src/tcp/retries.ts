/** The small counts that share the row's `retries`, eight bits each; they stop at 255. */
import type { Tcb } from "./tcb.js";

/** Where each count lies. */
export const Retry = {
  /** Retransmission timeouts without progress, or SYNs sent again. */
  TIMEOUTS: 0,
  /** Window probes since the peer was last heard. */
  WINDOW_PROBES: 8,
  /** Keepalive probes since the peer was last heard. */
  KEEPALIVES: 16,
  /** Doublings of the window probe's interval. */
  PROBE_BACKOFF: 24,
} as const;

export const retries = (c: Tcb, which: number): number => (c.retries >>> which) & 0xff;

export function setRetries(c: Tcb, which: number, n: number): void {
  c.retries = (c.retries & ~(0xff << which)) | ((n > 255 ? 255 : n) << which);
}

/** Adds one and returns the new count. */
export function retryAgain(c: Tcb, which: number): number {
  const n = retries(c, which) + 1;
  setRetries(c, which, n);
  return n;
}
