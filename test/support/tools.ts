/**
 * Programs that tests need beside Node.js. A missing one fails the test everywhere, with what to
 * install: a test that is skipped in silence proves nothing.
 */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const SYSTEM_FOLDERS = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/** The Debian package of each program whose package has another name. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  ss: "iproute2",
  ping: "iputils-ping",
  nc: "netcat-openbsd",
  unshare: "util-linux",
  cc: "gcc libc6-dev",
  python3: "python3-minimal",
};

function isInstalled(program: string): boolean {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_FOLDERS];
  return folders.some((folder) => existsSync(join(folder, program)));
}

/** Throws, naming the packages to install, unless every program is there. */
export function requireTools(...programs: string[]): void {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => PACKAGES[program] ?? program))];
  throw new Error(
    `this test needs ${missing.join(", ")}; install: apt-get install ${packages.join(" ")}`,
  );
}
