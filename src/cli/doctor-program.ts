/** The checks of `millrace doctor COMMAND`: whether a program's sockets can be accelerated. */
import type { CheckResult } from "./doctor-checks.js";
import { type Inspection, inspect, OBSTACLES, Obstacle } from "./inspection.js";
import type { FileKind, Machine } from "./machine.js";

/** Libraries in a program's file that matter, and what is to be known of each. */
const LIBRARIES: readonly (readonly [name: string, detail: string, fix: string])[] = [
  [
    "liburing.so",
    "uses io_uring: what it does there stays with the kernel's end of a socket",
    "switch io_uring off in its settings",
  ],
  [
    "libasan.so",
    "was built with AddressSanitizer, which must be loaded first",
    'LD_PRELOAD="$(cc -print-file-name=libasan.so)" before `millrace run`, or another build',
  ],
];

const ENOENT = 2;
/** For a server of a thousand clients; an engine holds one for each socket, and more for waiting. */
const ENOUGH_FILES = 4096;

/** Whether programs would find an engine where the environment says. */
export function checkEngine(m: Machine): CheckResult {
  const name = "engine's socket";
  const error = m.engineError();
  if (error === null) return ok(name, "programs can find it where the environment says");
  const fix = "unset MILLRACE_ENGINE, or set it to a path in a folder of this user's";
  return { name, status: "fail", detail: error, fix };
}

const ok = (name: string, detail: string): CheckResult => ({ name, status: "ok", detail });

/** In the order in which they are shown. */
export function checkProgram(m: Machine, command: string): CheckResult[] {
  const inspection = inspect(m, command);
  if (inspection === null) {
    return [
      {
        name: "program",
        status: "fail",
        detail: "the launcher is not built, so nothing is known of it",
        fix: "npm run install",
      },
    ];
  }
  const { path, error, interpreter } = inspection;
  if (error !== 0 && interpreter !== "") {
    const why = error === ENOENT ? "is not there" : "cannot be run";
    const detail = `${path}: its interpreter ${interpreter} ${why}`;
    return [{ name: "program", status: "fail", detail, fix: `mend the first line of ${path}` }];
  }
  if (error !== 0) {
    const [why, fix] =
      error === ENOENT
        ? ["not found", "install it, or name it with its folder"]
        : whyNotRun(m.fileKind(path), path);
    const detail = `${command === "" ? "''" : command}: ${why}`;
    return [{ name: "program", status: "fail", detail, fix }];
  }
  return [...checkFile(m, inspection), ...checkScript(inspection)];
}

/** Of a file that is there. */
function whyNotRun(kind: FileKind, path: string): readonly [why: string, fix: string] {
  const make = `chmod +x ${path}`;
  switch (kind) {
    case "folder":
      return ["is a folder", "name the program in it"];
    case "foreign":
      return OBSTACLES[Obstacle.OTHER_MACHINE]!;
    case "other":
      return [
        "is no program: it begins neither as one nor with #!",
        `name the program that reads it, and ${path} behind it`,
      ];
    case "program":
      return ["is a program that nobody may run", make];
    case "script":
      return ["is a script that nobody may run", make];
    case "marked":
      return [
        "may not be run by this user, or not from where it lies (a file system mounted noexec)",
        `ls -l ${path}; findmnt -T ${path}; then chmod or a copy elsewhere`,
      ];
  }
}

function checkFile(m: Machine, { interpreter, obstacle, loader }: Inspection): CheckResult[] {
  const [detail, fix] = OBSTACLES[obstacle] ?? OBSTACLES[0]!;
  if (obstacle !== 0) {
    return [
      {
        name: "program",
        status: "fail",
        detail: `${interpreter} ${detail}; it runs, unaccelerated`,
        fix: fix
          .replaceAll("PROGRAM", interpreter)
          .replaceAll("NAME", interpreter.split("/").at(-1)!),
      },
    ];
  }
  if (loader === "") {
    const detail = `${interpreter} may be run but not read, so nothing is known of it`;
    return [{ name: "program", status: "warn", detail, fix: "millrace run --debug says" }];
  }
  const checks = [ok("program", `${interpreter} is dynamically linked (${loader})`)];
  for (const [library, what, help] of LIBRARIES) {
    if (m.contains(interpreter, library))
      checks.push({ name: library, status: "warn", detail: `${interpreter} ${what}`, fix: help });
  }
  return checks;
}

function checkScript({ path, interpreter }: Inspection): CheckResult[] {
  if (path === interpreter) return [];
  return [
    ok("script", `${path} is run by ${interpreter}; programs that it starts are accelerated, too`),
  ];
}

/** Launcher and preload library. */
export function checkRun(m: Machine): CheckResult {
  const name = "millrace run";
  const places = [`${m.root}native/build/`, `${m.root}prebuilds/linux-${process.arch}/`];
  const missing = ["millrace-run", "libmillrace.so"].filter(
    (file) => !places.some((place) => m.exists(place + file)),
  );
  if (missing.length === 0) return ok(name, "launcher and preload library are built");
  const hint = m.hasProgram("cc") ? "" : "sudo apt-get install gcc libc6-dev && ";
  const detail = `${missing.join(", ")} not built: unmodified programs cannot be accelerated`;
  return { name, status: "warn", detail, fix: `${hint}npm run install` };
}

export function checkOpenFiles(m: Machine): CheckResult {
  const name = "open files";
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(m.read("/proc/self/limits") ?? "")?.[1];
  if (line === undefined) return ok(name, "the limit is not known");
  if (line === "unlimited" || Number(line) >= ENOUGH_FILES) return ok(name, `up to ${line}`);
  const detail = `at most ${line}: each accelerated socket takes one in the program and one in the engine`;
  return { name, status: "warn", detail, fix: "ulimit -Hn 65536, or LimitNOFILE= of the service" };
}

/** What an engine with such an interface needs, of the checks that were made anyway. */
export function checkNic(m: Machine, nic: string, checks: readonly CheckResult[]): CheckResult {
  const name = `--nic ${nic}`;
  const wrong = m.deviceError(nic);
  if (wrong !== null)
    return { name, status: "fail", detail: wrong, fix: "ip -brief link shows interfaces" };
  const colon = nic.indexOf(":");
  const kind = colon >= 0 ? nic.slice(0, colon) : /^tap/.test(nic) ? "tap" : "xdp";
  const needs: Readonly<Record<string, string>> = { tap: "/dev/net/tun", xdp: "XDP" };
  const needed = checks.find((check) => check.name === needs[kind]);
  if (needed !== undefined && needed.status !== "ok") {
    const fix = needed.fix === undefined ? {} : { fix: needed.fix };
    return { name, status: "fail", detail: `needs ${needed.name}: ${needed.detail}`, ...fix };
  }
  return ok(name, "what it needs is there");
}
