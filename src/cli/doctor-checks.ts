/** The checks of `millrace doctor`: each looks at one thing and says how to put it right. */
import { checkLimits, checkSharedMemory } from "./doctor-memory.js";
import { checkEngine, checkOpenFiles, checkRun } from "./doctor-program.js";
import { checkXdp } from "./doctor-xdp.js";
import type { Machine } from "./machine.js";

export type CheckStatus = "ok" | "warn" | "fail";

export interface CheckResult {
  readonly name: string;
  /** `fail`: Millrace does not work without it. `warn`: some of it does not, as `detail` says. */
  readonly status: CheckStatus;
  readonly detail: string;
  /** The command or step that puts it right. */
  readonly fix?: string;
}

type Check = (machine: Machine) => CheckResult;

const CAP_NET_ADMIN = 12;
/** Room for the frames of an AF_XDP socket, which old kernels count as locked memory. */
const LOCKED_BYTES = 64 * 1024 * 1024;

/** A module with one function that uses a 128-bit constant: it compiles where SIMD is there. */
const SIMD_MODULE = Uint8Array.from(
  [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0].concat([
    65, 0, 253, 15, 253, 98, 11,
  ]),
);

/** Programs that tests and debugging use, and the Debian packages that hold them. */
const TOOLS: readonly (readonly [program: string, debian: string])[] = [
  ["ip", "iproute2"],
  ["tcpdump", "tcpdump"],
  ["tshark", "tshark"],
  ["curl", "curl"],
  ["socat", "socat"],
  ["nc", "netcat-openbsd"],
  ["iperf3", "iperf3"],
  ["sockperf", "sockperf"],
  ["dpdk-testpmd", "dpdk-dev"],
  ["ethtool", "ethtool"],
  ["traceroute", "traceroute"],
  ["python3", "python3"],
  ["git", "git"],
  ["nginx", "nginx"],
  ["wrk", "wrk"],
  ["redis-server", "redis-server"],
  ["redis-benchmark", "redis-tools"],
];

const ok = (name: string, detail: string): CheckResult => ({ name, status: "ok", detail });
const warn = (name: string, detail: string, fix: string): CheckResult => ({
  name,
  status: "warn",
  detail,
  fix,
});
const fail = (name: string, detail: string, fix: string): CheckResult => ({
  name,
  status: "fail",
  detail,
  fix,
});

/** In the order in which they are shown. */
export const CHECKS: readonly Check[] = [
  checkNode,
  checkKernel,
  checkCpus,
  checkSimd,
  checkAddon,
  checkRun,
  checkEngine,
  checkOpenFiles,
  checkTun,
  checkNetAdmin,
  checkNamespaces,
  checkSharedMemory,
  checkLimits,
  checkLockedMemory,
  checkXdp,
  checkTools,
];

function checkNode(m: Machine): CheckResult {
  const [major, minor] = m.nodeVersion.split(".").map(Number);
  const isNewEnough = major! > 20 || (major === 20 && minor! >= 19);
  if (isNewEnough) return ok("Node.js", m.nodeVersion);
  return fail("Node.js", `${m.nodeVersion}, 20.19 or newer is needed`, "nvm install 22");
}

function checkKernel(m: Machine): CheckResult {
  const text = `${m.system} ${m.kernelRelease}`;
  if (m.system !== "Linux") {
    return fail("kernel", `${text}, Linux is needed`, "use a Linux machine, container or VM");
  }
  if (isKernelSince(m, 5, 11)) return ok("kernel", text);
  const detail = `${text}, 5.11 or newer is what the AF_XDP driver needs`;
  return warn("kernel", detail, "sudo apt-get install linux-image-amd64 && sudo reboot");
}

function isKernelSince(m: Machine, major: number, minor: number): boolean {
  const [a, b] = m.kernelRelease.split(".").map((part) => Number.parseInt(part, 10));
  return a! > major || (a === major && b! >= minor);
}

function checkCpus(m: Machine): CheckResult {
  if (m.cpus > 1) return ok("CPUs", `${m.cpus}`);
  const detail = "1: a spinning stack and the program that it serves take turns";
  return warn("CPUs", detail, "give the machine a second CPU, or do not let the stack spin");
}

function checkSimd(m: Machine): CheckResult {
  if (m.validates(SIMD_MODULE)) return ok("WebAssembly SIMD", "yes");
  const detail = "no: checksums take about twice as long";
  return warn(
    "WebAssembly SIMD",
    detail,
    "run Node.js without --no-wasm-simd, on a CPU with SSE4.1",
  );
}

/** The addon that was built here, or the prebuilt one of a package. */
function checkAddon(m: Machine): CheckResult {
  const name = "native addon";
  const paths = [`${m.root}native/build/millrace.node`];
  paths.push(`${m.root}prebuilds/linux-${process.arch}/millrace.node`);
  const path = paths.find((candidate) => m.exists(candidate));
  if (path === undefined) {
    const hint = m.hasProgram("cc") ? "" : "sudo apt-get install gcc libc6-dev && ";
    const detail = "not built: no TAP, AF_XDP or sleeping hosts; simulation and files work";
    return warn(name, detail, `${hint}npm run install`);
  }
  const error = m.loadError(path);
  if (error === null) return ok(name, path);
  return fail(name, `${path} does not load: ${error}`, "npm run install");
}

function checkTun(m: Machine): CheckResult {
  const name = "/dev/net/tun";
  const error = m.openError("/dev/net/tun");
  if (error === null) return ok(name, "can be opened");
  if (error === "EACCES" || error === "EPERM") {
    return warn(name, `${error}: no TAP interfaces`, "sudo chmod 0666 /dev/net/tun");
  }
  const make = "sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200";
  const fix = m.exists("/.dockerenv")
    ? "docker run --device /dev/net/tun …"
    : `sudo modprobe tun || { ${make}; }`;
  return warn(name, `${error}: no TAP interfaces`, fix);
}

function checkNetAdmin(m: Machine): CheckResult {
  const name = "CAP_NET_ADMIN";
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(m.read("/proc/self/status") ?? "")?.[1] ?? "0";
  if ((BigInt(`0x${line}`) >> BigInt(CAP_NET_ADMIN)) & 1n) return ok(name, "yes");
  const detail = "no: new TAP interfaces only in a user namespace (unshare -Urn)";
  return warn(name, detail, 'sudo setcap cap_net_admin+ep "$(readlink -f "$(command -v node)")"');
}

/** Tried, because several switches forbid them, each in its own way. */
function checkNamespaces(m: Machine): CheckResult {
  const name = "user namespaces";
  const status = m.run("unshare", ["--user", "--map-root-user", "--net", "true"]);
  if (status === 0) return ok(name, "allowed, with networks of their own");
  if (!m.hasProgram("unshare")) {
    return warn(name, "not tried: there is no unshare", "sudo apt-get install util-linux");
  }
  const detail = "refused: no TAP interfaces without privilege, some tests are skipped";
  return warn(name, detail, namespaceFix(m));
}

function namespaceFix(m: Machine): string {
  const is = (path: string, value: string): boolean => m.read(path)?.trim() === value;
  if (is("/proc/sys/kernel/unprivileged_userns_clone", "0")) {
    return "sudo sysctl kernel.unprivileged_userns_clone=1";
  }
  if (is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")) {
    return "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0";
  }
  if (is("/proc/sys/user/max_user_namespaces", "0")) {
    return "sudo sysctl user.max_user_namespaces=10000";
  }
  return "docker run --security-opt seccomp=unconfined … (when in a container)";
}

/** Since Linux 5.11 the memory of maps and sockets is counted to the control group instead. */
function checkLockedMemory(m: Machine): CheckResult {
  const name = "locked memory";
  const limit = /^Max locked memory\s+(\S+)/m.exec(m.read("/proc/self/limits") ?? "")?.[1];
  if (limit === undefined) return ok(name, "the limit is not known");
  if (limit === "unlimited") return ok(name, "unlimited");
  const text = `${Math.floor(Number(limit) / 1024)} KiB`;
  if (isKernelSince(m, 5, 11))
    return ok(name, `${text}, which this kernel does not count for AF_XDP`);
  if (Number(limit) >= LOCKED_BYTES) return ok(name, text);
  return warn(name, `${text}: AF_XDP needs 64 MiB on this kernel`, "ulimit -l unlimited");
}

/** For information: nothing but tests misses them. */
function checkTools(m: Machine): CheckResult {
  const name = "tools for tests";
  const missing = TOOLS.filter(([program]) => !m.hasProgram(program));
  const list = (tools: typeof TOOLS): string => tools.map(([program]) => program).join(", ");
  if (missing.length === 0) return ok(name, list(TOOLS));
  const packages = missing.map(([, debian]) => debian).join(" ");
  return {
    name,
    status: "ok",
    detail: `without ${list(missing)} some tests are skipped`,
    fix: `sudo apt-get install ${packages}`,
  };
}
