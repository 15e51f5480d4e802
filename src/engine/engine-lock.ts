/** One engine for each place: a lock on a file beside its socket. */
import { EAGAIN, EBUSY } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { lockFile } from "../sys/fd.js";

/**
 * A descriptor that holds the lock until it is closed. The file stays: who removed it could lock it
 * out of another's hands. Throws `NetError`: EBUSY when another engine has it.
 */
export function lockEngine(path: string): number {
  const fd = lockFile(path);
  if (fd >= 0) return fd;
  const hint =
    fd === -EAGAIN
      ? "an engine of this user already runs in this network namespace; see millrace stat"
      : `cannot lock ${path}; its folder must be there, and this user's to write to`;
  throw new NetError(fd === -EAGAIN ? EBUSY : fd, { syscall: "flock", hint });
}
