/**
 * Where an engine is found: one for each user and network namespace, in a folder that only the user
 * can enter. All but the lock are removed when the engine ends; a dead engine's are replaced.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, statSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { EACCES, EIO } from "../base/errno.js";
import { NetError } from "../base/errors.js";

export interface EnginePaths {
  /** Control socket, AF_UNIX SOCK_SEQPACKET. Programs find it by $MILLRACE_ENGINE. */
  readonly control: string;
  /** Statistics, AF_UNIX SOCK_STREAM; see stat-message.ts. */
  readonly stat: string;
  /** Held by the engine with flock(2). */
  readonly lock: string;
}

const PRIVATE_MODE = 0o700;

/** `$XDG_RUNTIME_DIR/millrace`, or `/tmp/millrace-UID`. */
export function engineFolder(env: NodeJS.ProcessEnv = process.env): string {
  const runtime = env.XDG_RUNTIME_DIR;
  if (runtime?.startsWith("/")) return join(runtime, "millrace");
  return `/tmp/millrace-${process.getuid!()}`;
}

/** The inode of this process's network namespace. */
export const namespaceInode = (): number => statSync("/proc/self/ns/net").ino;

/** The paths of this user's engine in this network namespace. */
export function enginePaths(env: NodeJS.ProcessEnv = process.env): EnginePaths {
  return pathsOf(join(engineFolder(env), `engine-${namespaceInode()}`));
}

/** The paths of an engine whose control socket was named with `--socket`. */
export function pathsBeside(control: string): EnginePaths {
  return { control, stat: `${control}.stat`, lock: `${control}.lock` };
}

const pathsOf = (stem: string): EnginePaths => pathsBeside(`${stem}.sock`);

/**
 * Makes the engines' own folder, or sees to it that one that is there is this user's alone; a folder that was
 * named, with `--socket`, is left as it is. Throws `NetError`: EACCES when another user could have put it there.
 */
export function makePrivateFolder(folder: string, env: NodeJS.ProcessEnv = process.env): void {
  if (folder !== engineFolder(env)) return;
  try {
    make(folder);
  } catch (cause) {
    const { errno = EIO } = cause as NodeJS.ErrnoException;
    const isNamed = folder.startsWith(`${env.XDG_RUNTIME_DIR}/`);
    const hint = `${folder}; set XDG_RUNTIME_DIR to a folder of this user's${isNamed ? ", or unset it" : ""}`;
    throw new NetError(errno, { syscall: "mkdir", hint, cause });
  }
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== process.getuid!()) {
    throw new NetError(EACCES, {
      syscall: "mkdir",
      hint: `${folder} is not this user's folder; remove it, or set XDG_RUNTIME_DIR`,
    });
  }
  if ((found.mode & 0o077) !== 0) chmodSync(folder, PRIVATE_MODE);
}

/** `recursive` says ENOENT of a file system that cannot be written to. */
function make(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: PRIVATE_MODE });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" || !existsSync(dirname(folder))) throw error;
    mkdirSync(folder, { mode: PRIVATE_MODE });
  }
}

/** Removes a socket's file, if there is one. */
export function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Not there, or not ours to remove: listening says so.
  }
}
