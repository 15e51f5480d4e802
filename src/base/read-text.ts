/** Files that a user names. */
import { readFileSync, type Stats, statSync } from "node:fs";

/** A file's text. Throws the system's error, which says `path` in any case. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    (error as NodeJS.ErrnoException).path ??= path; // not said of a folder
    throw error;
  }
}

/** What a user named is no file that can be read more than once. */
export class FileKindError extends Error {
  override readonly name = "FileKindError";
}

/** A plain file's length. Throws {@link FileKindError}, or the system's error. */
export function requirePlainFile(path: string): number {
  const status = statSync(path);
  if (status.isFile()) return status.size;
  throw new FileKindError(`${path}: expected a plain file; it is ${kindOf(status)}`);
}

function kindOf(status: Stats): string {
  if (status.isDirectory()) return "a directory";
  if (status.isFIFO()) return "a FIFO";
  if (status.isSocket()) return "a socket";
  return "a device";
}
