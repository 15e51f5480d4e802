/**
 * Programs that tests need beside Node.js, and what to install where they are missing. A test file
 * that needs them fails then, saying so.
 */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const SYSTEM_FOLDERS = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/** The Debian package of each program whose package has another name. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  capinfos: "wireshark-common",
  ss: "iproute2",
  ping: "iputils-ping",
  nc: "netcat-openbsd",
  unshare: "util-linux",
  setpriv: "util-linux",
  tracepath: "iputils-tracepath",
  nice: "coreutils",
  "redis-cli": "redis-tools",
  "redis-benchmark": "redis-tools",
  cc: "gcc libc6-dev",
  python3: "python3-minimal",
  "dpdk-testpmd": "dpdk-dev",
  pg_ctlcluster: "postgresql",
  "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
  "qemu-aarch64": "qemu-user",
};

function isInstalled(program: string): boolean {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_FOLDERS];
  return folders.some((folder) => existsSync(join(folder, program)));
}

/** Which programs are missing, and the packages to install; null when every one is there. */
export function missingTools(...programs: string[]): string | null {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) return null;
  const packages = [...new Set(missing.map((program) => PACKAGES[program] ?? program))];
  return `this test needs ${missing.join(", ")}; install: apt-get install ${packages.join(" ")}`;
}

/** Throws, naming the packages to install, unless every program is there. */
export function requireTools(...programs: string[]): void {
  const reason = missingTools(...programs);
  if (reason !== null) throw new Error(reason);
}
