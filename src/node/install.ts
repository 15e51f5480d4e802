/**
 * Puts Millrace's handle classes in the place of the kernel's, below `net` and `dgram`. Each takes the classes
 * once, when it is loaded; where that has happened, `late-install.ts` does the rest.
 */
import { handlesAreInstalled } from "./accelerator.js";
import { tellOfActive } from "./active.js";
import { installLate } from "./late-install.js";
import { areForbidden, binding, isLoaded, printLine, quietBinding } from "./natives.js";
import { guardPipes } from "./pipe-guard.js";
import { StreamHandle } from "./stream-handle.js";
import { TcpHandle } from "./tcp-handle.js";
import { UdpHandle } from "./udp-handle.js";

let isInstalled = false;

/** Idempotent. */
export function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  if (areForbidden) {
    printLine("millrace: --permission allows no process.binding; sockets stay with the kernel");
    return;
  }
  handlesAreInstalled();
  // What Node prints of a socket names its handle, and programs tell handles by these names.
  Object.defineProperty(TcpHandle, "name", { value: "TCP" });
  Object.defineProperty(UdpHandle, "name", { value: "UDP" });
  if (isLoaded("net") || isLoaded("dgram")) installLate();
  Object.assign(binding("tcp_wrap"), { TCP: TcpHandle });
  Object.assign(binding("udp_wrap"), { UDP: UdpHandle });
  watchTls();
  watchHttp();
  guardPipes();
  tellOfActive();
}

/** TLS says on top of which handle it is: errors must be told to it. */
function watchTls(): void {
  const tls = binding("tls_wrap");
  const wrap = tls.wrap;
  tls.wrap = (handle, ...rest) => {
    const wrapped = wrap(handle, ...rest);
    if (handle instanceof StreamHandle) {
      handle.isTakenNatively = true;
      handle.tls = wrapped;
    }
    return wrapped;
  };
}

/**
 * A program's own parser of HTTP may listen below without asking for `isStreamBase` first, even before the handle
 * connects. Since Node 24 programs cannot have it.
 */
function watchHttp(): void {
  const parser = quietBinding("http_parser")?.HTTPParser.prototype;
  if (parser === undefined) return;
  const { consume } = parser;
  parser.consume = function (handle): void {
    if (handle instanceof StreamHandle) handle.isTakenNatively = true;
    consume.call(this, handle);
  };
}
