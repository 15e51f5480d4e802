/** Becoming another program (execve(2)), which Node.js has no call for. */
import { addon } from "./addon.js";
import { check } from "./check.js";

/**
 * Replaces this process by a program, with this environment and these descriptors as they are;
 * `words` are its arguments, its own name first. Throws `NetError` when it cannot; does not return otherwise.
 */
export function becomeProgram(path: string, words: readonly string[]): never {
  const bytes = Buffer.from(`${words.join("\0")}\0`);
  check(addon().programExec(path, bytes, words.length), "execve");
  throw new Error("execve returned");
}
