/**
 * The checks of `millrace doctor` for the memory that engine and programs share: memfds, not files of
 * /dev/shm, whose size therefore says nothing.
 */
import type { CheckResult } from "./doctor-checks.js";
import type { Machine } from "./machine.js";

const GIB = 2 ** 30;
/** An engine reserves 4 GiB for frames and programs, and Node.js about as much again. */
const ADDRESS_SPACE_BYTES = 12 * GIB;
/** The most that programs' memory may take; a memfd is a file to RLIMIT_FSIZE. */
const FILE_BYTES = 2 * GIB;
/** An engine with some programs; its buffers take memory when they are used. */
const GROUP_BYTES = 512 * 2 ** 20;

const ok = (name: string, detail: string): CheckResult => ({ name, status: "ok", detail });
const warn = (name: string, detail: string, fix: string): CheckResult => ({
  name,
  status: "warn",
  detail,
  fix,
});

/** Makes what an engine makes: sealed memory, and a socket over which it goes to programs. */
export function checkSharedMemory(m: Machine): CheckResult {
  const name = "shared memory";
  const filter = /^Seccomp:\s*([12])$/m.test(m.read("/proc/self/status") ?? "");
  const error = m.probeSharing();
  if (error === null) {
    const more = filter ? ", which this process's seccomp filter lets through" : "";
    return ok(name, `memfds can be made, sealed and passed${more}`);
  }
  if (!filter) {
    return warn(
      name,
      `${error}: no \`millrace run\``,
      "use a kernel since Linux 3.17 with CONFIG_MEMFD_CREATE=y",
    );
  }
  const fix = m.exists("/.dockerenv")
    ? "docker run --security-opt seccomp=unconfined …"
    : "let the filter (SystemCallFilter= of the service) allow memfd_create, sendmsg and recvmsg on Unix sockets, and ppoll";
  return warn(name, `${error}: a seccomp filter forbids it, so there is no \`millrace run\``, fix);
}

export function checkLimits(m: Machine): CheckResult {
  const name = "memory limits";
  const text = m.read("/proc/self/limits") ?? "";
  const space = limitOf(text, "Max address space");
  if (space < ADDRESS_SPACE_BYTES) {
    const detail = `${gib(space)} of address space; an engine reserves about ${gib(ADDRESS_SPACE_BYTES)} (and uses little)`;
    return warn(name, detail, "ulimit -v unlimited");
  }
  const file = limitOf(text, "Max file size");
  if (file < FILE_BYTES) {
    const detail = `files of at most ${gib(file)}, which holds for shared memory, too; ${gib(FILE_BYTES)} are needed`;
    return warn(name, detail, "ulimit -f unlimited");
  }
  const group = Number(m.read("/sys/fs/cgroup/memory.max") ?? "max");
  if (group < GROUP_BYTES) {
    const detail = `${gib(group)} for this control group; an engine with busy programs takes more`;
    return warn(name, detail, "give the container or service 512 MiB or more");
  }
  return ok(name, "enough address space, file size and memory for an engine");
}

/** In bytes; infinite when there is none. */
function limitOf(limits: string, name: string): number {
  const value = new RegExp(`^${name}\\s+(\\S+)`, "m").exec(limits)?.[1];
  return value === undefined || value === "unlimited" ? Number.POSITIVE_INFINITY : Number(value);
}

const gib = (bytes: number): string => `${(bytes / GIB).toFixed(bytes < GIB ? 2 : 0)} GiB`;
