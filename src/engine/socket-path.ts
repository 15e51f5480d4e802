/**
 * Where an engine is found: one for each user and network namespace, in a folder that only the user
 * can enter. All but the lock are removed when the engine ends; a dead engine's are replaced.
 */
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { EACCES, EEXIST, EIO, ENAMETOOLONG, ENOENT, ENOTDIR } from "../base/errno.js";
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
/**
 * Longest path of a control socket: `sun_path` of unix(7) less the terminating zero and the statistics' `.stat`. The
 * launcher has the same (native/launcher/engine.c).
 */
export const CONTROL_BYTES = 102;

/** `$XDG_RUNTIME_DIR/millrace`, or `/tmp/millrace-UID`. */
export function engineFolder(env: NodeJS.ProcessEnv = process.env): string {
  const runtime = env.XDG_RUNTIME_DIR;
  if (runtime?.startsWith("/")) return join(runtime, "millrace");
  return `/tmp/millrace-${process.getuid!()}`;
}

/** The inode of this process's network namespace. */
export const namespaceInode = (): number => statSync("/proc/self/ns/net").ino;

/** The paths of this user's engine in this network namespace. Throws `NetError` where XDG_RUNTIME_DIR is too long. */
export function enginePaths(env: NodeJS.ProcessEnv = process.env): EnginePaths {
  const control = join(engineFolder(env), `engine-${namespaceInode()}.sock`);
  const why = whyNoControl(control);
  if (why === "") return pathsBeside(control);
  throw new NetError(ENAMETOOLONG, { hint: `${why}; set XDG_RUNTIME_DIR to a shorter folder` });
}

/** The paths of an engine whose control socket is named. */
export function pathsBeside(control: string): EnginePaths {
  return { control, stat: `${control}.stat`, lock: `${control}.lock` };
}

/** Why a path is none for a control socket whatever there is on the machine, or "". */
export function whyNoControl(control: string): string {
  const bytes = Buffer.byteLength(control);
  if (bytes > 0 && bytes <= CONTROL_BYTES) return "";
  return `expected the path of a control socket, of 1 to ${CONTROL_BYTES} bytes, got ${control} (${bytes} bytes)`;
}

/**
 * Sees to it that an engine can have its control socket there, before it leaves any file: makes the engines' own folder,
 * which must be this user's alone; a folder that was named (MILLRACE_ENGINE, `--socket`) is left as it is. Throws
 * `NetError`, with what to do.
 */
export function prepareControl(control: string, env: NodeJS.ProcessEnv = process.env): void {
  const folder = dirname(control);
  if (folder === engineFolder(env)) makePrivateFolder(folder, env);
  else requireFolder(folder);
  const found = lstatSync(control, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) {
    throw new NetError(EEXIST, { hint: `${control} is no socket, and stays; ${NAME_ANOTHER}` });
  }
}

const NAME_ANOTHER = "name another path (MILLRACE_ENGINE, --socket)";

function requireFolder(folder: string): void {
  const place = `${folder}, where the engine's socket is to be`;
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) {
    throw new NetError(ENOENT, { hint: `${place}; make it, or ${NAME_ANOTHER}` });
  }
  if (!found.isDirectory()) throw new NetError(ENOTDIR, { hint: `${place}; ${NAME_ANOTHER}` });
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const { errno = EIO } = cause as NodeJS.ErrnoException;
    throw new NetError(errno, { hint: `${place}; ${NAME_ANOTHER}`, cause });
  }
}

/** Throws `NetError`: EACCES when another user could have put it there. */
function makePrivateFolder(folder: string, env: NodeJS.ProcessEnv): void {
  try {
    makeFolders(folder);
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

/** Node.js's `recursive` tries for ever where a folder is there in which none can be made, like /proc/1. */
function makeFolders(folder: string): void {
  if (existsSync(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) makeFolders(parent);
  try {
    mkdirSync(folder, PRIVATE_MODE);
  } catch (error) {
    // Several programs may start at once.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
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
