/**
 * Sockets to the kernel's routing tables: questions that are answered at once, dumps, notifications.
 *
 * The kernel answers a question of rtnetlink before the call that asks returns, so nothing here
 * waits. Reading needs no privilege; telling the kernel of a neighbour's use needs CAP_NET_ADMIN.
 */
import { EAGAIN, EINTR, EMSGSIZE, ENOBUFS, EPROTO } from "../base/errno.js";
import { addon } from "./addon.js";
import { check } from "./check.js";
import { Control, LITTLE_ENDIAN, MessageFlags, MessageReader } from "./netlink-message.js";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;

/** The kernel's largest answers have 32 KiB. */
const BUFFER_BYTES = 65_536;
/** What may wait: a route table that is loaded at once makes many notifications. */
const RECEIVE_BUFFER_BYTES = 1 << 20;
/** Tables that change while they are dumped are dumped again so often. */
const MAX_DUMPS = 16;
/** Datagrams of other answers that are skipped at most. */
const MAX_SKIPPED = 64;

export class NetlinkSocket {
  readonly fd: number;
  private readonly buffer = new Uint8Array(BUFFER_BYTES);
  private seq = 0;

  /** Subscribes to `groups` (bits of `RtGroups`). Throws `NetError`. */
  constructor(groups = 0) {
    this.fd = check(addon().socketOpen(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), "socket AF_NETLINK");
    try {
      const address = new Uint8Array(12);
      const view = new DataView(address.buffer);
      view.setUint16(0, AF_NETLINK, LITTLE_ENDIAN);
      view.setUint32(8, groups >>> 0, LITTLE_ENDIAN);
      check(addon().socketBind(this.fd, address), "bind AF_NETLINK");
      if (groups !== 0) this.set(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    } catch (error) {
      addon().fdClose(this.fd);
      throw error;
    }
  }

  private set(level: number, option: number, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, LITTLE_ENDIAN);
    check(addon().socketSetOption(this.fd, level, option, bytes), "setsockopt AF_NETLINK");
  }

  /** The sequence number for the next request. */
  nextSeq(): number {
    this.seq = (this.seq + 1) >>> 0;
    return this.seq;
  }

  /**
   * Sends the first `n` bytes of a request and reads its answer: the message, borrowed until the
   * next call, or a negated error number. An acknowledgement is 0.
   */
  ask(request: Uint8Array, n: number): MessageReader | number {
    const sent = addon().netlinkSend(this.fd, request, n);
    if (sent < 0) return sent;
    for (let i = 0; i < MAX_SKIPPED; i++) {
      const got = addon().netlinkReceive(this.fd, this.buffer);
      if (got < 0) return got === -EAGAIN ? -EPROTO : got;
      const message = new MessageReader(this.buffer, got);
      if (!message.step() || message.seq !== this.seq) continue;
      if (message.type === Control.ERROR) return 0 - message.errno;
      return message;
    }
    return -EPROTO;
  }

  /**
   * Dumps a table: `write` makes the request for a sequence number, `visit` gets every entry, and
   * `restart` is called before a first and every further attempt, when the table has changed
   * meanwhile. Throws `NetError`.
   */
  dump(
    request: Uint8Array,
    write: (seq: number) => number,
    restart: () => void,
    visit: (m: MessageReader) => void,
  ): void {
    for (let attempt = 1; ; attempt++) {
      restart();
      const n = write(this.nextSeq());
      check(addon().netlinkSend(this.fd, request, n), "sendto AF_NETLINK");
      const result = this.readDump(visit);
      if (result === 0 || (result === -EINTR && attempt >= MAX_DUMPS)) return;
      if (result !== -EINTR) check(result, "recvmsg AF_NETLINK");
    }
  }

  /** 0, -EINTR when the table changed meanwhile, or another negated error number. */
  private readDump(visit: (m: MessageReader) => void): number {
    let isWhole = true;
    for (;;) {
      const got = addon().netlinkReceive(this.fd, this.buffer);
      if (got < 0) return got === -EAGAIN ? -EPROTO : got;
      const message = new MessageReader(this.buffer, got);
      while (message.step()) {
        if (message.seq !== this.seq) continue;
        if ((message.flags & MessageFlags.DUMP_INTERRUPTED) !== 0) isWhole = false;
        if (message.type === Control.ERROR) return 0 - message.errno;
        if (message.type === Control.DONE) return isWhole ? 0 : -EINTR;
        visit(message);
      }
    }
  }

  /**
   * Takes the next datagram of notifications and gives each message to `visit`. False when there is
   * none; `onLost` is called when the kernel has dropped some: what is known must be read anew.
   */
  receive(visit: (m: MessageReader) => void, onLost: () => void): boolean {
    const got = addon().netlinkReceive(this.fd, this.buffer);
    if (got === -EAGAIN) return false;
    if (got === -ENOBUFS || got === -EMSGSIZE) {
      onLost();
      return true;
    }
    if (got < 0) return false;
    const message = new MessageReader(this.buffer, got);
    while (message.step()) visit(message);
    return true;
  }

  close(): void {
    addon().fdClose(this.fd);
  }
}
