/**
 * Unix sockets that carry whole messages and descriptors (SOCK_SEQPACKET): listening, connecting,
 * and passing descriptors between processes. Non-blocking.
 *
 * A path that begins with `@` is an abstract name (unix(7)): it needs no file and goes with its
 * listener. Some programs fill the whole address with zeros behind such a name, and in the abstract
 * namespace that is another name: `isPadded` speaks to them.
 */
import * as errno from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { addon } from "./addon.js";
import { check } from "./check.js";

/** `sun_path` of unix(7). */
const ADDRESS_BYTES = 108;

export interface UnixAddress {
  /** A path, or `@` and an abstract name. Up to 107 bytes. */
  readonly path: string;
  /** The abstract name is followed by zeros to the address's full length. False by default. */
  readonly isPadded?: boolean;
}

/** A listening socket; the caller closes it, and removes the path's file. Throws `NetError`. */
export function listenUnix(address: UnixAddress, backlog = 16): number {
  const { path } = address;
  return check(addon().unixListen(nameOf(address), backlog), `bind ${path}`, {
    [errno.EADDRINUSE]: "another process listens there, or a file of that name is in the way",
    [errno.EACCES]: "the folder may not be written by this user",
    [errno.ENOENT]: "the folder does not exist",
  });
}

/** A connected socket, which the caller closes, or a negative error number. */
export function connectUnix(address: UnixAddress): number {
  return addon().unixConnect(nameOf(address));
}

/** A connection from a listening socket, which the caller closes, or -EAGAIN when there is none. */
export function acceptUnix(fd: number): number {
  return addon().unixAccept(fd);
}

/** Sends one message, with a descriptor unless it is below 0; its length or a negative error number. */
export function sendMessage(fd: number, message: Uint8Array, passedFd = -1): number {
  return addon().unixSend(fd, message, passedFd);
}

/** The descriptor that came with the last received message, the receiver's to close, or -1. */
const passedOut = new Int32Array(1);

/**
 * Receives one message: its length, 0 when the peer has closed, or a negative error number (-EAGAIN:
 * none). A descriptor that came with it is in {@link receivedFd}.
 */
export function receiveMessage(fd: number, message: Uint8Array): number {
  return addon().unixReceive(fd, message, passedOut);
}

/** Valid until the next `receiveMessage`: the descriptor that came, or -1. */
export function receivedFd(): number {
  return passedOut[0]!;
}

/** Descriptors of the last {@link receiveWithFds}: how many, then they. */
const passedAll = new Int32Array(9);
const toPass = new Int32Array(8);

/** As {@link sendMessage}, with up to eight descriptors, which arrive in this order. */
export function sendWithFds(fd: number, message: Uint8Array, fds: readonly number[]): number {
  for (const [i, passed] of fds.entries()) toPass[i] = passed;
  return addon().unixSendAll(fd, message, toPass, fds.length);
}

/**
 * As {@link receiveMessage}, with up to eight descriptors, which are put into `fds`, the caller's to
 * close. Whatever flags their sender has set on them hold.
 */
export function receiveWithFds(fd: number, message: Uint8Array, fds: number[]): number {
  const n = addon().unixReceiveAll(fd, message, passedAll);
  fds.length = 0;
  for (let i = 1; i <= passedAll[0]!; i++) fds.push(passedAll[i]!);
  return n;
}

/** Who is at the other end, as it was when the connection was made. */
export function peerOf(fd: number): { pid: number; uid: number } {
  const out = new Int32Array(3);
  check(addon().unixPeer(fd, out), "getsockopt SO_PEERCRED");
  return { pid: out[0]!, uid: out[1]! >>> 0 };
}

/** Two ends that are connected to each other; the caller closes both. */
export function unixPair(): [number, number] {
  const out = new Int32Array(2);
  check(addon().unixPair(out), "socketpair");
  return [out[0]!, out[1]!];
}

function nameOf({ path, isPadded = false }: UnixAddress): Uint8Array {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : path);
  if (path === "" || path === "@" || path.includes("\0") || name.length >= ADDRESS_BYTES) {
    throw new NetError(errno.EINVAL, {
      syscall: "unix",
      hint: `expected a socket path of 1 to ${ADDRESS_BYTES - 1} bytes, got ${JSON.stringify(path)}`,
    });
  }
  if (!isPadded) return new Uint8Array(name);
  const padded = new Uint8Array(ADDRESS_BYTES);
  padded.set(name);
  return padded;
}
