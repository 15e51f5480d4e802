/**
 * A socket that memif clients connect to. Several devices of a process may share one, each with an
 * id of its own: a connection goes to the device whose id its `init` names.
 */
import { unlinkSync } from "node:fs";
import { EADDRINUSE, EAGAIN, EBUSY } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { closeFd } from "../sys/fd.js";
import { PollSet } from "../sys/poll-set.js";
import {
  acceptUnix,
  listenUnix,
  receivedFd,
  receiveMessage,
  removeStaleSocket,
  sendMessage,
} from "../sys/unix-socket.js";
import { decode, encode, MESSAGE_BYTES, VERSION } from "./memif-message.js";
import { MAX_LOG2_SIZE } from "./memif-ring.js";
import type { MemifServer } from "./memif-server.js";

const MAX_PENDING = 16;
/** A client that has not said which interface it wants after this time is sent away. */
const INIT_US = 2_000_000;

interface Pending {
  readonly fd: number;
  readonly giveUpAtUs: number;
}

const listeners = new Map<string, MemifListener>();

/** The listener of a path, made at its first use; `leave` it when done. Throws `NetError`. */
export function joinListener(path: string, server: MemifServer, features: number): MemifListener {
  let listener = listeners.get(path);
  if (listener === undefined) {
    listener = new MemifListener(path, features);
    listeners.set(path, listener);
  }
  listener.join(server);
  return listener;
}

export class MemifListener {
  private readonly path: string;
  private readonly features: number;
  private readonly fds: number[] = [];
  private readonly servers: MemifServer[] = [];
  private readonly pending: Pending[] = [];
  private readonly pollSet = new PollSet();
  private readonly message = new Uint8Array(MESSAGE_BYTES);

  constructor(path: string, features: number) {
    this.path = path;
    this.features = features;
    try {
      this.fds.push(listen(path));
      // Some programs fill an abstract address with zeros, which makes it another one.
      if (path.startsWith("@")) this.fds.push(listenUnix({ path, isPadded: true }));
    } catch (error) {
      this.close();
      throw error;
    }
    for (const fd of this.fds) this.pollSet.add(fd);
  }

  /** Readable when `service` has something to do. */
  get wakeFd(): number {
    return this.pollSet.fd;
  }

  join(server: MemifServer): void {
    if (this.servers.some((other) => other.id === server.id)) {
      throw new NetError(EBUSY, {
        syscall: "memif",
        hint: `interface id ${server.id} of ${this.path} is another device's; give each an id of its own`,
      });
    }
    this.servers.push(server);
  }

  leave(server: MemifServer): void {
    const i = this.servers.indexOf(server);
    if (i >= 0) this.servers.splice(i, 1);
    if (this.servers.length > 0) return;
    listeners.delete(this.path);
    this.close();
  }

  private close(): void {
    for (const { fd } of this.pending) closeFd(fd);
    this.pending.length = 0;
    this.pollSet.close();
    for (const fd of this.fds) closeFd(fd);
    if (this.fds.length > 0 && !this.path.startsWith("@")) remove(this.path);
    this.fds.length = 0;
  }

  /** Accepts connections, and hands those that say what they want to the device they want. */
  service(nowUs: number): void {
    for (const fd of this.fds) this.accept(fd, nowUs);
    for (let i = this.pending.length - 1; i >= 0; i--) {
      const pending = this.pending[i]!;
      if (this.settle(pending, nowUs)) this.pending.splice(i, 1);
    }
  }

  private accept(listenFd: number, nowUs: number): void {
    while (this.pending.length < MAX_PENDING) {
      const fd = acceptUnix(listenFd);
      if (fd < 0) return;
      const hello = encode({
        type: "hello",
        name: "millrace",
        features: this.features,
        minVersion: VERSION,
        maxVersion: VERSION,
        lastRegion: 255,
        lastS2c: 254,
        lastC2s: 254,
        log2RingSize: MAX_LOG2_SIZE,
      });
      sendMessage(fd, hello);
      this.pending.push({ fd, giveUpAtUs: nowUs + INIT_US });
      this.pollSet.add(fd);
    }
  }

  /** Whether the connection needs no more care of the listener's. */
  private settle({ fd, giveUpAtUs }: Pending, nowUs: number): boolean {
    const n = receiveMessage(fd, this.message);
    if (n === -EAGAIN && nowUs < giveUpAtUs) return false;
    this.pollSet.remove(fd);
    const passed = n > 0 ? receivedFd() : -1;
    if (passed >= 0) closeFd(passed);
    const message = n > 0 ? decode(this.message.subarray(0, n)) : null;
    if (message?.type !== "init") return turnAway(fd, n === -EAGAIN ? "timeout" : "expected init");
    const server = this.servers.find(({ id }) => id === message.id);
    if (server === undefined) return turnAway(fd, "ID not found");
    if (!server.isFree(nowUs)) return turnAway(fd, "Already connected");
    server.take(fd, message, nowUs);
    return true;
  }
}

function turnAway(fd: number, reason: string): true {
  sendMessage(fd, encode({ type: "disconnect", code: 0, reason }));
  closeFd(fd);
  return true;
}

/** Listens; a socket file that a dead process left behind is replaced. */
function listen(path: string): number {
  try {
    return listenUnix({ path });
  } catch (error) {
    if (!(error instanceof NetError) || error.errno !== -EADDRINUSE || path.startsWith("@")) {
      throw error;
    }
    removeStaleSocket(path);
    return listenUnix({ path });
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already, or not ours to remove: nobody can connect to it either way.
  }
}
