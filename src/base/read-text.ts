/** Files that a user names. */
import { readFileSync } from "node:fs";

/** A file's text. Throws the system's error, which says `path` in any case. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    (error as NodeJS.ErrnoException).path ??= path; // not said of a folder
    throw error;
  }
}
