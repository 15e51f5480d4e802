/**
 * Linux error numbers (errno(3)), which the polled interface returns negated, as system calls do:
 * `-EAGAIN`. Nothing on the data path throws; the promise layer turns a code into a `NetError`.
 */

export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const E2BIG = 7;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOTTY = 25;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const EPIPE = 32;
export const EDOM = 33;
export const ERANGE = 34;
export const ENAMETOOLONG = 36;
export const ENOSYS = 38;
export const ELOOP = 40;
export const EPROTO = 71;
export const EBADFD = 77;
export const ENOTSOCK = 88;
export const EDESTADDRREQ = 89;
export const EMSGSIZE = 90;
export const EPROTOTYPE = 91;
export const ENOPROTOOPT = 92;
export const EPROTONOSUPPORT = 93;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ENETDOWN = 100;
export const ENETUNREACH = 101;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const EISCONN = 106;
export const ENOTCONN = 107;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const EHOSTDOWN = 112;
export const EHOSTUNREACH = 113;
export const EALREADY = 114;
export const EINPROGRESS = 115;
export const ECANCELED = 125;

const NAMES: ReadonlyMap<number, readonly [name: string, text: string]> = new Map([
  [EPERM, ["EPERM", "operation not permitted"]],
  [ENOENT, ["ENOENT", "no such file or directory"]],
  [EINTR, ["EINTR", "interrupted"]],
  [EIO, ["EIO", "input/output error"]],
  [ENXIO, ["ENXIO", "no such device or address"]],
  [E2BIG, ["E2BIG", "too many entries"]],
  [EBADF, ["EBADF", "the socket is closed"]],
  [EAGAIN, ["EAGAIN", "would block"]],
  [ENOMEM, ["ENOMEM", "out of memory"]],
  [EACCES, ["EACCES", "permission denied"]],
  [EFAULT, ["EFAULT", "bad address"]],
  [EBUSY, ["EBUSY", "device or resource busy"]],
  [EEXIST, ["EEXIST", "already exists"]],
  [ENODEV, ["ENODEV", "no such device"]],
  [EINVAL, ["EINVAL", "invalid argument"]],
  [ENFILE, ["ENFILE", "too many open files in the system"]],
  [EMFILE, ["EMFILE", "too many open files"]],
  [ENOTTY, ["ENOTTY", "not supported by this device"]],
  [EFBIG, ["EFBIG", "file too large"]],
  [ENOSPC, ["ENOSPC", "no space left"]],
  [ENOTDIR, ["ENOTDIR", "not a directory"]],
  [EROFS, ["EROFS", "read-only file system"]],
  [EPIPE, ["EPIPE", "the sending side is shut down"]],
  [EDOM, ["EDOM", "value out of range"]],
  [ERANGE, ["ERANGE", "out of range"]],
  [ENAMETOOLONG, ["ENAMETOOLONG", "file name too long"]],
  [ENOSYS, ["ENOSYS", "not supported by this kernel"]],
  [ELOOP, ["ELOOP", "too many symbolic links"]],
  [EPROTO, ["EPROTO", "protocol error"]],
  [EBADFD, ["EBADFD", "file descriptor in bad state"]],
  [ENOTSOCK, ["ENOTSOCK", "not a socket"]],
  [EDESTADDRREQ, ["EDESTADDRREQ", "destination address required"]],
  [EMSGSIZE, ["EMSGSIZE", "message too long"]],
  [EPROTOTYPE, ["EPROTOTYPE", "protocol wrong type for socket"]],
  [ENOPROTOOPT, ["ENOPROTOOPT", "protocol option not available"]],
  [EPROTONOSUPPORT, ["EPROTONOSUPPORT", "protocol not supported"]],
  [EOPNOTSUPP, ["EOPNOTSUPP", "operation not supported"]],
  [EAFNOSUPPORT, ["EAFNOSUPPORT", "address family not supported by this socket"]],
  [EADDRINUSE, ["EADDRINUSE", "address already in use"]],
  [EADDRNOTAVAIL, ["EADDRNOTAVAIL", "address not available"]],
  [ENETDOWN, ["ENETDOWN", "network is down"]],
  [ENETUNREACH, ["ENETUNREACH", "network is unreachable"]],
  [ECONNABORTED, ["ECONNABORTED", "connection aborted"]],
  [ECONNRESET, ["ECONNRESET", "connection reset by peer"]],
  [ENOBUFS, ["ENOBUFS", "no buffer space available"]],
  [EISCONN, ["EISCONN", "already connected"]],
  [ENOTCONN, ["ENOTCONN", "not connected"]],
  [ETIMEDOUT, ["ETIMEDOUT", "connection timed out"]],
  [ECONNREFUSED, ["ECONNREFUSED", "connection refused"]],
  [EHOSTDOWN, ["EHOSTDOWN", "host is down"]],
  [EHOSTUNREACH, ["EHOSTUNREACH", "no route to host"]],
  [EALREADY, ["EALREADY", "operation already in progress"]],
  [EINPROGRESS, ["EINPROGRESS", "operation in progress"]],
  [ECANCELED, ["ECANCELED", "operation canceled"]],
]);

/** POSIX name of an error number, negated or not: `errnoName(-11)` is `"EAGAIN"`. */
export function errnoName(errno: number): string {
  return NAMES.get(Math.abs(errno))?.[0] ?? `errno ${Math.abs(errno)}`;
}

/** What an error number means, in a few words. */
export function errnoText(errno: number): string {
  return NAMES.get(Math.abs(errno))?.[1] ?? "unknown error";
}
