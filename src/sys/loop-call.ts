/** Calls from the event loop as libuv makes them, outside of Node's callback scopes: no ticks run at their end. */
import { addon, type LoopCallHandle } from "./addon.js";
import { check, failure } from "./check.js";

export class LoopCall {
  private readonly handle: LoopCallHandle;

  /** Lives as long as the thread. What `call` throws becomes an uncaught exception. Throws `NetError` ENOMEM, ENOSYS. */
  constructor(call: () => void, scoped: () => void) {
    const handle = addon().loopCallOpen(call, scoped);
    if (typeof handle === "number") throw failure(handle, "uv_idle_init");
    this.handle = handle;
  }

  /** `call`, once, in the next iteration of the event loop, which goes on until then. */
  soon(): void {
    check(addon().loopCallSoon(this.handle), "uv_idle_start");
  }

  /** Hot path. `scoped`, now, within a callback scope, at whose end ticks run if it is the outermost. Throws what that throws. */
  callScoped(): void {
    addon().loopCallScoped(this.handle);
  }
}

/** Node does with `error` what it does with exceptions that nobody catches: it may end the process. */
export function throwUncaught(error: unknown): void {
  addon().exceptionThrow(error);
}
