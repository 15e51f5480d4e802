/**
 * Handles that are sent to other processes (`child.send(message, socket)`, cluster): native code
 * takes them for the kernel's, so ours must never get there. A server's or datagram socket's kernel
 * handle goes instead. An accelerated connection cannot be passed: it ends, and the sender is told EINVAL.
 */
import { EINVAL } from "../base/errno.js";
import { successorOf } from "./late-install.js";
import { binding, type NativeRequest } from "./natives.js";
import { StreamHandle } from "./stream-handle.js";
import type { TcpHandle } from "./tcp-handle.js";
import { UdpHandle } from "./udp-handle.js";

export function guardPipes(): void {
  const { prototype } = binding("pipe_wrap").Pipe;
  const write = prototype.writeUtf8String;
  prototype.writeUtf8String = function (
    this: unknown,
    request: NativeRequest | null,
    text: string,
    handle?: unknown,
  ): unknown {
    if (handle === undefined) return write.call(this as never, request, text);
    handle = successorOf(handle as object) ?? handle;
    const isOurs = handle instanceof StreamHandle || handle instanceof UdpHandle;
    if (!isOurs) return write.call(this as never, request, text, handle);
    const passable = (handle as TcpHandle | UdpHandle).passOn();
    if (passable !== null) return write.call(this as never, request, text, passable);
    (handle as TcpHandle | UdpHandle).close(); // Node has taken it from its owner already
    return -EINVAL;
  };
}
