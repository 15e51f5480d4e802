/** The check of `millrace doctor` for XDP: AF_XDP interfaces, owned and shared. */
import type { CheckResult } from "./doctor-checks.js";
import type { Machine } from "./machine.js";

const NAME = "XDP";
const CAPABILITIES = "cap_bpf,cap_net_admin,cap_net_raw+ep";

/** Warnings only: all but AF_XDP interfaces works without. */
export function checkXdp(m: Machine): CheckResult {
  const { error, message, takesFrags } = m.probeXdp();
  if (error === null) {
    const jumbo = takesFrags ? ", jumbo frames too" : ", without jumbo frames (Linux 5.18 on)";
    return { name: NAME, status: "ok", detail: `programs and socket maps can be made${jumbo}` };
  }
  const detail = `${error}: no AF_XDP interfaces (${message})`;
  return { name: NAME, status: "warn", detail, fix: fixOf(m, error) };
}

function fixOf(m: Machine, error: string): string {
  if (error === "EPERM") {
    return m.exists("/.dockerenv")
      ? "docker run --cap-add BPF --cap-add NET_ADMIN --cap-add NET_RAW …"
      : `sudo setcap ${CAPABILITIES} "$(readlink -f "$(command -v node)")"`;
  }
  if (error === "ENOENT") return "npm run install";
  return "use a kernel with CONFIG_BPF_SYSCALL=y and CONFIG_XDP_SOCKETS=y: sudo apt-get install linux-image-amd64";
}
