/**
 * Puts Millrace's handle classes in the place of the kernel's, below `net` and `dgram`, before those
 * are loaded: each takes the classes once, when it is loaded.
 */
import { handlesAreInstalled } from "./accelerator.js";
import { binding, isLoaded } from "./natives.js";
import { guardPipes } from "./pipe-guard.js";
import { StreamHandle } from "./stream-handle.js";
import { TcpHandle } from "./tcp-handle.js";
import { UdpHandle } from "./udp-handle.js";

let isInstalled = false;

/** Which of Node's modules were loaded too early for {@link install}; empty when it can be done. */
export function loadedTooEarly(): string[] {
  return isInstalled ? [] : ["net", "dgram"].filter(isLoaded);
}

/** Idempotent. */
export function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  handlesAreInstalled();
  Object.assign(binding("tcp_wrap"), { TCP: TcpHandle });
  Object.assign(binding("udp_wrap"), { UDP: UdpHandle });
  watchTls();
  guardPipes();
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
