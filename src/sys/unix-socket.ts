/**
 * Unix sockets that carry whole messages and descriptors (SOCK_SEQPACKET): listening, connecting,
 * and passing descriptors between processes. Non-blocking.
 *
 * A path that begins with `@` is an abstract name (unix(7)): it needs no file and goes with its
 * listener. Some programs fill the whole address with zeros behind such a name, and in the abstract
 * namespace that is another name: `isPadded` speaks to them.
 */
import { close, lstatSync, unlinkSync } from "node:fs";
import * as errno from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { addon } from "./addon.js";
import { check } from "./check.js";
import { closeFd } from "./fd.js";

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

/**
 * Removes the file of a socket whose process has gone without doing so. Whatever else is there stays: other files, and
 * sockets at which somebody listens, of whatever type.
 */
export function removeStaleSocket(path: string): void {
  try {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
    const fd = connectUnix({ path });
    if (fd >= 0) closeFd(fd);
    if (fd === -errno.ECONNREFUSED) unlinkSync(path);
  } catch {
    // Gone already, or not ours to remove: listening says so.
  }
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

/** Descriptors of the last {@link receiveWithFds}: how many, whether some are lost, then they. */
const passedAll = new Int32Array(255);
const PASSED_AT = 2;
const toPass = new Int32Array(8);

/** As {@link sendMessage}, with up to eight descriptors, which arrive in this order. */
export function sendWithFds(fd: number, message: Uint8Array, fds: readonly number[]): number {
  for (const [i, passed] of fds.entries()) toPass[i] = passed;
  return addon().unixSendAll(fd, message, toPass, fds.length);
}

/**
 * As {@link receiveMessage}, with all its descriptors, which are put into `fds`, the caller's to
 * close ({@link throwAway}). They are whatever their sender likes, with the flags that he has set.
 */
export function receiveWithFds(fd: number, message: Uint8Array, fds: number[]): number {
  const n = addon().unixReceiveAll(fd, message, passedAll);
  fds.length = 0;
  for (let i = 0; i < passedAll[0]!; i++) fds.push(passedAll[PASSED_AT + i]!);
  return n;
}

/** Valid until the next {@link receiveWithFds}: descriptors came that this process has no room for. */
export const wereFdsLost = (): boolean => passedAll[1] !== 0;

/** What {@link socketKind} says: `SOCK_*` of `AF_*`. */
export const SocketKind = {
  UNIX_MESSAGES: 0x105,
  STREAM4: 0x201,
  DATAGRAM4: 0x202,
  STREAM6: 0xa01,
  DATAGRAM6: 0xa02,
} as const;
const HAS_PEER = 0x10000;

/** What a descriptor that came from somebody is: a `SocketKind` or another; below 0: no socket. */
export function socketKind(fd: number): number {
  const kind = addon().socketKind(fd);
  return kind < 0 ? kind : kind & ~HAS_PEER;
}

/**
 * Closes a descriptor that came from somebody and may be anything. Closing may block (files of a
 * file system of the sender's own, SO_LINGER, descriptors that wait in a socket): then a thread does it.
 */
export function throwAway(fd: number): void {
  const kind = addon().socketKind(fd);
  if (isIp(kind) && ((kind & HAS_PEER) === 0 || isDatagram(kind))) closeFd(fd);
  else close(fd, () => {});
}

const isIp = (kind: number): boolean => (kind & 0xff00) === 0x200 || (kind & 0xff00) === 0xa00;
const isDatagram = (kind: number): boolean => (kind & 0xff) === 2;

/** Bytes of messages that wait to be received. */
export function waitingBytes(fd: number): number {
  return check(addon().unixWaiting(fd), "ioctl FIONREAD");
}

/** Ends a connection for both: whoever is at the other end finds that out, and nothing comes any more. */
export function shutUnix(fd: number): void {
  addon().unixShut(fd);
}

/**
 * Closes our end of a connection with somebody, and what waits in it: descriptors may be among that.
 */
export function discardUnix(fd: number): void {
  shutUnix(fd);
  // Nothing can be added any more, so that this ends.
  while (takeNothing(fd) > 0) {}
  closeFd(fd);
}

const nothing = new Uint8Array(64);

/** Throws away a message that waits; how many descriptors it had, plus 1, or 0 when there was none. */
function takeNothing(fd: number): number {
  const n = addon().unixReceiveAll(fd, nothing, passedAll);
  if (n <= 0 && n !== -errno.EMSGSIZE) return 0;
  const fds = Array.from(passedAll.subarray(PASSED_AT, PASSED_AT + passedAll[0]!));
  for (const passed of fds) throwAway(passed);
  return 1 + fds.length;
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
