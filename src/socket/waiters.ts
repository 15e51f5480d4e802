/**
 * Promises that wait for a socket: first come, first served. `settle` is called when the socket
 * changes and tries each in turn until one has to go on waiting.
 */
import type { NetError } from "../base/errors.js";
import { abortError, onAbort } from "./endpoint.js";

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: NetError) => void;
  readonly stopListening: () => void;
}

export class Waiters<T> {
  private queue: Waiting<T>[] = [];

  get size(): number {
    return this.queue.length;
  }

  /** A promise that {@link settle} or {@link failFirst} settles, or the signal. */
  wait(signal: AbortSignal | undefined, syscall: string): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stopListening = onAbort(signal, () => {
        this.queue = this.queue.filter((w) => w !== waiting);
        reject(abortError(signal!, syscall));
      });
      const waiting: Waiting<T> = { resolve, reject, stopListening };
      this.queue.push(waiting);
    });
  }

  /** Resolves waiters with what `take` gives until it gives undefined: nothing is there now. */
  settle(take: () => T | undefined): void {
    while (this.queue.length > 0) {
      const value = take();
      if (value === undefined) return;
      const [first] = this.queue.splice(0, 1);
      first!.stopListening();
      first!.resolve(value);
    }
  }

  /** Rejects the first waiter. */
  failFirst(error: NetError): void {
    const [first] = this.queue.splice(0, 1);
    first?.stopListening();
    first?.reject(error);
  }

  /** Resolves every waiter with the same value. */
  settleAll(value: T): void {
    this.settle(() => value);
  }
}
