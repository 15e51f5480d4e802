/**
 * The kernel's sockets of the programs that run under an engine, found in /proc(5): they have the
 * engine's name in their environment, whether the preload library got into them or not.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

/** A process under Millrace. */
export interface ProgramProcess {
  readonly pid: number;
  readonly uid: number;
  /** Its name, of which Linux keeps 15 characters. */
  readonly name: string;
  /** Whether the preload library is in it. */
  readonly hasLibrary: boolean;
  /** Descriptors that are sockets, of any kind. */
  readonly sockets: readonly { readonly fd: number; readonly inode: number }[];
}

/** Those of the engine at `control`; what this user may not look into is left out. */
export function programProcesses(control: string): ProgramProcess[] {
  const found: ProgramProcess[] = [];
  for (const entry of listOf("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const process = processAt(Number(entry), `MILLRACE_ENGINE=${control}`);
    if (process !== null) found.push(process);
  }
  return found;
}

function processAt(pid: number, variable: string): ProgramProcess | null {
  const place = `/proc/${pid}`;
  try {
    if (!readFileSync(`${place}/environ`, "utf8").split("\0").includes(variable)) return null;
    const sockets = socketsAt(`${place}/fd`);
    return {
      pid,
      uid: statSync(place).uid,
      name: readFileSync(`${place}/comm`, "utf8").trimEnd(),
      hasLibrary: /\/libmillrace\.so\n/.test(readFileSync(`${place}/maps`, "utf8")),
      sockets,
    };
  } catch {
    return null; // it has ended, or is another user's
  }
}

function socketsAt(folder: string): { fd: number; inode: number }[] {
  const sockets: { fd: number; inode: number }[] = [];
  for (const fd of readdirSync(folder)) {
    let target = "";
    try {
      target = readlinkSync(`${folder}/${fd}`);
    } catch {
      continue; // closed just now
    }
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) sockets.push({ fd: Number(fd), inode: Number(inode) });
  }
  return sockets;
}

function listOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
