/** From the addon's convention (negative error numbers) to errors: for set-up calls only. */
import * as errno from "../base/errno.js";
import { NetError } from "../base/errors.js";

const TOO_MANY_FILES = "raise the limit of open files: ulimit -n, or LimitNOFILE= of the service";

/** What helps against an error number whatever the call was. */
const GENERAL_HINTS: ReadonlyMap<number, string> = new Map([
  [errno.EMFILE, TOO_MANY_FILES],
  [errno.ENFILE, TOO_MANY_FILES],
  [errno.EFBIG, "raise the limit of a file's size, which holds for memory, too: ulimit -f"],
  [errno.ENOMEM, "free memory, or raise the limit: ulimit -v, or MemoryMax= of the service"],
]);

/** What the user can do about an error number of one call. */
export type Hints = Readonly<Record<number, string>>;

/** `result` itself, or a `NetError` that names the call and what to do about it. */
export function check(result: number, syscall: string, hints: Hints = {}): number {
  if (result >= 0) return result;
  throw failure(result, syscall, hints);
}

/** The error for a failed call, for results that are not numbers. */
export function failure(result: number, syscall: string, hints: Hints = {}): NetError {
  const hint = hints[-result] ?? GENERAL_HINTS.get(-result);
  return new NetError(result, hint === undefined ? { syscall } : { syscall, hint });
}
