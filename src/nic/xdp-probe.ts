/** Whether XDP programs and AF_XDP socket maps can be made here: tried, as nothing else tells. */
import { NetError } from "../base/errors.js";
import { linkMaps } from "../ebpf/assembled-program.js";
import { closeFd } from "../sys/fd.js";
import { createSocketMap, loadXdp } from "./xdp-attach.js";
import { SOCKETS_MAP } from "./xdp-context.js";
import { redirectAllProgram } from "./xdp-redirect.js";

export interface XdpProbe {
  /** The error's code, `EPERM`; null when all is well. */
  readonly error: string | null;
  /** The error's words, empty when all is well. */
  readonly message: string;
  /** Whether programs for frames in several buffers are taken (Linux 5.18). */
  readonly takesFrags: boolean;
}

/** Makes a map and loads a program that uses it; both are gone afterwards. */
export function probeXdp(): XdpProbe {
  try {
    const sockets = createSocketMap(1);
    try {
      const code = linkMaps(redirectAllProgram(), { [SOCKETS_MAP]: sockets.fd });
      closeFd(loadXdp(code, "millrace_probe", false));
      return { error: null, message: "", takesFrags: takesFrags(code) };
    } finally {
      sockets.close();
    }
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    return { error: error.code, message: error.message, takesFrags: false };
  }
}

function takesFrags(code: Uint8Array): boolean {
  try {
    closeFd(loadXdp(code, "millrace_probe", true));
    return true;
  } catch {
    return false;
  }
}
