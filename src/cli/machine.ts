/** What `doctor` asks of the machine, so that tests can give it another one. */
import { spawnSync } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { availableParallelism, release, type as systemName } from "node:os";
import { fileURLToPath } from "node:url";
import { specificationOf } from "../engine/nic-config.js";
import { prepareControl } from "../engine/socket-path.js";
import { probeXdp, type XdpProbe } from "../nic/xdp-probe.js";
import { checkDevice } from "../socket/open-device.js";
import { closeFd } from "../sys/fd.js";
import { createMemfd } from "../sys/memory.js";
import { receiveWithFds, sendWithFds, unixPair } from "../sys/unix-socket.js";
import { currentEngine } from "./engine-start.js";
import { isSystemError } from "./world.js";

export interface Machine {
  readonly nodeVersion: string;
  /** `Linux`. */
  readonly system: string;
  readonly kernelRelease: string;
  readonly cpus: number;
  /** The project's own folder, where the native addon is. */
  readonly root: string;
  /** Contents of a file, or null. */
  read(path: string): string | null;
  exists(path: string): boolean;
  /** Opens a file for reading and writing and closes it: the error's code, or null. */
  openError(path: string): string | null;
  /** What a file that cannot be run is, by its first bytes. */
  fileKind(path: string): FileKind;
  /** Whether a program is in the search path. */
  hasProgram(name: string): boolean;
  /** Exit status of a program that is run silently, -1 when it cannot be run. */
  run(program: string, args: readonly string[]): number;
  /** Standard output of a program that succeeds, otherwise null. */
  output(program: string, args: readonly string[]): string | null;
  /** Whether a file's bytes hold a text. */
  contains(path: string, text: string): boolean;
  /** Loads a native addon: the error's message, or null. */
  loadError(path: string): string | null;
  /** Whether this WebAssembly module would compile. */
  validates(module: Uint8Array): boolean;
  /** Whether XDP programs can be loaded. */
  probeXdp(): XdpProbe;
  /** What is wrong with a device as --nic names it, before it is opened, or null. */
  deviceError(nic: string): string | null;
  /** Where engines are found cannot be, and why; or null. */
  engineError(): string | null;
  /** Makes sealed memory and passes it over a socket: the error's code and call, or null. */
  probeSharing(): string | null;
}

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export function thisMachine(): Machine {
  return {
    nodeVersion: process.versions.node,
    system: systemName(),
    kernelRelease: release(),
    cpus: availableParallelism(),
    root: ROOT,
    read,
    exists: existsSync,
    openError,
    fileKind,
    hasProgram,
    run(program, args) {
      const { status } = spawnSync(program, args, { stdio: "ignore", timeout: 5000 });
      return status ?? -1;
    },
    output(program, args) {
      const { status, stdout } = spawnSync(program, args, { encoding: "utf8", timeout: 5000 });
      return status === 0 ? stdout : null;
    },
    contains,
    loadError,
    probeXdp,
    probeSharing,
    deviceError,
    engineError,
    validates: (module) => WebAssembly.validate(module.slice()),
  };
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function contains(path: string, text: string): boolean {
  try {
    return readFileSync(path).includes(text);
  } catch {
    return false;
  }
}

function openError(path: string): string | null {
  try {
    closeSync(openSync(path, "r+"));
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "EIO";
  }
}

/** `script`: it begins with `#!`; `marked`: it may be run, and something else forbids it. */
export type FileKind = "folder" | "program" | "foreign" | "script" | "marked" | "other";

/** e_machine of this processor. */
const MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };
const CLASS_64 = 2;

function fileKind(path: string): FileKind {
  try {
    const { mode } = statSync(path);
    if ((mode & constants.S_IFMT) === constants.S_IFDIR) return "folder";
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) return "other";
    const head = Buffer.alloc(20);
    const fd = openSync(path, "r");
    const n = readSync(fd, head, 0, head.length, 0);
    closeSync(fd);
    const isElf = n === head.length && head.toString("latin1", 0, 4) === "\x7fELF";
    const isOurs = head[4] === CLASS_64 && head.readUInt16LE(18) === MACHINES[process.arch];
    if (isElf && !isOurs) return "foreign";
    if (!isElf && head.toString("latin1", 0, 2) !== "#!") return "other";
    if ((mode & 0o111) !== 0) return "marked";
    return isElf ? "program" : "script";
  } catch {
    return "marked"; // not to be read: its mode is all that is known
  }
}

function hasProgram(name: string): boolean {
  const folders = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`.split(":");
  return folders.some((folder) => {
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}

function loadError(path: string): string | null {
  try {
    process.dlopen({ exports: {} }, path);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function deviceError(nic: string): string | null {
  try {
    checkDevice(specificationOf({ nic, xdp: null }));
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function engineError(): string | null {
  try {
    const { control } = currentEngine(process.env);
    if ((process.env.MILLRACE_ENGINE ?? "") !== "") prepareControl(control);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function probeSharing(): string | null {
  const fds: number[] = [];
  try {
    const memory = createMemfd("millrace-doctor", 4096);
    fds.push(memory, ...unixPair());
    sendWithFds(fds[1]!, Uint8Array.of(1), [memory]);
    const passed: number[] = [];
    receiveWithFds(fds[2]!, new Uint8Array(1), passed);
    fds.push(...passed);
    return passed.length === 1 ? null : "no descriptor came over a Unix socket";
  } catch (error) {
    if (isSystemError(error)) return error.message.split(";")[0]!;
    return null; // the addon is not built, which has a check of its own
  } finally {
    for (const fd of fds) closeFd(fd);
  }
}
