/**
 * What keeps the process alive, for those who ask Node: `process.getActiveResourcesInfo()` and
 * `process._getActiveHandles()` tell of accelerated sockets as they do of the kernel's, and not of the handles
 * and timers behind them.
 */
import type { Host } from "../socket/host.js";
import { openSide } from "./accelerator.js";
import { frontOf, ownerOf } from "./natives.js";
import { TcpHandle } from "./tcp-handle.js";
import { UdpHandle } from "./udp-handle.js";

interface Asked {
  getActiveResourcesInfo(): string[];
  _getActiveHandles?(): object[];
}

/** Replaces both. */
export function tellOfActive(): void {
  const asked = process as unknown as Asked;
  const { getActiveResourcesInfo, _getActiveHandles } = asked;
  asked.getActiveResourcesInfo = () => {
    const found = getActiveResourcesInfo.call(process);
    const side = openSide();
    if (side === null) return found;
    const at = found.indexOf(side.runner.heldTimer);
    if (at >= 0) found.splice(at, 1);
    const ours = activeHandles(side.host).filter((handle) => !handle.hasActiveKernel);
    return [...ours.map((handle) => handle.resourceName), ...found];
  };
  if (_getActiveHandles === undefined) return;
  asked._getActiveHandles = () => {
    const found = _getActiveHandles.call(process).map(told);
    const side = openSide();
    const ours = side === null ? [] : activeHandles(side.host);
    return [...new Set([...found, ...ours.map(told)])];
  };
}

/** As in Node, those that are referenced, whether they wait for anything or not. */
function activeHandles(host: Host): (TcpHandle | UdpHandle)[] {
  const handles: (TcpHandle | UdpHandle)[] = [];
  for (const user of host.allUsers()) {
    const { handle } = user as { handle?: unknown };
    const one = handle ?? user;
    if ((one instanceof UdpHandle || isTcp(one)) && one.hasRef()) handles.push(one);
  }
  return handles;
}

const isTcp = (handle: unknown): handle is TcpHandle =>
  Object.prototype.isPrototypeOf.call(TcpHandle.prototype, handle as object);

/** What Node tells of a handle: whoever it belongs to. */
function told(handle: object): object {
  const front = frontOf(handle);
  return ownerOf(front) ?? front;
}
