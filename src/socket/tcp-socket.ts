/**
 * A TCP socket, polled: the calls and errors of POSIX and Linux (tcp(7)) without descriptors.
 *
 * The connection is a row of the engine; this object is the user's handle on it. After `close` the
 * row lives on until the protocol is done with it, without the socket.
 *
 * Family INET6 is dual-stack unless IPV6_V6ONLY is set: IPv4 peers show up as what they are, since
 * every address is held in one form (base/ip-address.ts).
 */
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EALREADY,
  EBADF,
  ECONNRESET,
  EINVAL,
  EISCONN,
  ENETUNREACH,
  ENODEV,
  ENOTCONN,
} from "../base/errno.js";
import { ANY4, ANY6, IpAddress } from "../base/ip-address.js";
import { type Home, homeTowards } from "../ip/home.js";
import { PathKind } from "../ip/path.js";
import { needsZone } from "../ip/zone.js";
import { HandOver } from "../tcp/hand-over.js";
import { State } from "../tcp/state.js";
import type { Tcb } from "../tcp/tcb.js";
import type { TcpInfo } from "../tcp/tcp-info.js";
import { TcpOption } from "../tcp/tcp-option.js";
import { Family, IpOption, Ipv6Option, Level } from "./linux-options.js";
import { PolledSocket } from "./polled-socket.js";
import type { Stack } from "./stack.js";
import { getTcpOption, setTcpOption } from "./tcp-options.js";
import { NONE, RowFlags } from "./tcp-rows.js";

const LOOPBACK4 = IpAddress.v4(0x7f000001);
const LOOPBACK6 = new IpAddress(0, 0, 0, 1);

export class TcpSocket extends PolledSocket {
  readonly stack: Stack;
  /** `Family`. */
  readonly family: number;
  /** Row of the engine, or NONE once closed. */
  row: number;
  /** Number in the stack. */
  readonly id: number;
  /** Why `accept` returned null: a negated error number. */
  acceptErrno = 0;
  /** The ends of a closed socket: until then they are read from the row. */
  private ends: { local: IpAddress; remote: IpAddress; ports: number } | null = null;

  /** For `Stack.tcpSocket` and `accept`, which know the row. */
  constructor(stack: Stack, family: number, row: number, id: number) {
    super();
    this.stack = stack;
    this.family = family;
    this.row = row;
    this.id = id;
  }

  /** Local address, a copy: the wildcard until `bind` or `connect`. */
  get localAddress(): IpAddress {
    if (this.row === NONE) return this.ends?.local ?? ANY6;
    const address = addressAt(this.view(), 0);
    return this.family === Family.INET && address.isUnspecified ? ANY4 : address;
  }

  get localPort(): number {
    return this.row === NONE ? (this.ends?.ports ?? 0) >>> 16 : this.view().localPort;
  }

  /** The peer's address, a copy. */
  get remoteAddress(): IpAddress {
    return this.row === NONE ? (this.ends?.remote ?? ANY6) : addressAt(this.view(), 4);
  }

  /** 0 until there is a peer. */
  get remotePort(): number {
    return this.row === NONE ? (this.ends?.ports ?? 0) & 0xffff : this.view().remotePort;
  }

  get isClosed(): boolean {
    return this.row === NONE;
  }

  /** The engine's state of the connection (`State`), CLOSED once closed. */
  get state(): number {
    return this.row === NONE ? State.CLOSED : this.view().state;
  }

  override get isListening(): boolean {
    return this.row !== NONE && this.stack.tcpRows.has(this.row, RowFlags.LISTENS);
  }

  /** Both addresses into these; the ports, the local one in the upper half. */
  readEnds(local: IpAddress, remote: IpAddress): number {
    if (this.row === NONE) {
      local.setFrom(this.localAddress);
      remote.setFrom(this.remoteAddress);
      return this.ends?.ports ?? 0;
    }
    const { i, addressAt: at, ports } = this.view();
    local.set(i[at]!, i[at + 1]!, i[at + 2]!, i[at + 3]!);
    remote.set(i[at + 4]!, i[at + 5]!, i[at + 6]!, i[at + 7]!);
    if (this.family === Family.INET && local.isUnspecified) local.setFrom(ANY4);
    return ports;
  }

  /** The engine's view of the row: borrowed until the next call into the stack. */
  view(): Tcb {
    return this.stack.tcp.tcb.select(this.row);
  }

  /**
   * Gives the socket a local address and port; port 0 chooses one. `ifIndex` is the scope of a
   * link-local IPv6 address. 0, -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL when bound already.
   */
  bind(address: IpAddress, port: number, ifIndex = 0): number {
    const refused = this.row === NONE ? -EBADF : this.refuseLocal(address, port, ifIndex);
    if (refused !== 0) return refused;
    const rows = this.stack.tcpRows;
    if (ifIndex !== 0 && !address.isV4 && address.isLinkLocal) rows.ifIndex[this.row] = ifIndex;
    const own = address.isUnspecified && this.family === Family.INET ? ANY4 : address;
    const waits = port === 0 && this.recalled(Level.IP, IpOption.IP_BIND_ADDRESS_NO_PORT) !== 0;
    const chosen = waits ? 0 : this.stack.tcpBind.bind(this.row, own, port);
    if (chosen < 0) return chosen;
    rows.set(this.row, RowFlags.ADDRESS_FIXED, !own.isUnspecified);
    if (!own.isV4 && !own.isUnspecified) rows.set(this.row, RowFlags.V6ONLY, true); // as in Linux
    rows.set(this.row, RowFlags.PORT_FIXED, port !== 0);
    this.setLocal(own, chosen);
    return 0;
  }

  private refuseLocal(address: IpAddress, port: number, ifIndex: number): number {
    if (!(port >= 0 && port <= 0xffff)) return -EINVAL;
    if (this.hasPort || this.state !== State.CLOSED) return -EINVAL;
    if (this.family === Family.INET && !address.isV4 && !address.isUnspecified)
      return -EAFNOSUPPORT;
    if (this.family === Family.INET6 && address.isV4 && this.isV6only) return -EINVAL;
    if (address.isUnspecified) return 0;
    if (!address.isV4 && address.isMulticast) return -EINVAL;
    if (needsZone(address)) {
      const through = ifIndex === 0 ? this.zone : ifIndex;
      if (through === 0) return -EINVAL;
      const iface = this.stack.interfaceByIndex(through);
      if (iface === null) return -ENODEV;
      if (!this.stack.ip.addresses.isLocal6On(iface, address)) return -EADDRNOTAVAIL;
    }
    if (this.stack.ip.mayBind(address) || this.mayBindForeign(address)) return 0;
    return -EADDRNOTAVAIL;
  }

  private mayBindForeign(address: IpAddress): boolean {
    return (
      (address.isV4 && address.isMulticast) ||
      this.recalled(Level.IP, IpOption.IP_FREEBIND) !== 0 ||
      this.recalled(Level.IPV6, Ipv6Option.IPV6_FREEBIND) !== 0
    );
  }

  /** Whether a peer has answered: as in Linux, such a socket cannot be used for another connection. */
  private get wasConnected(): boolean {
    return this.view().peerMss !== 0;
  }

  /** What its wildcard means; set before it is bound. */
  set home(home: Home | null) {
    if (this.row !== NONE) this.stack.tcpRows.setHome(this.row, home);
  }

  /** Whether a socket of the kernel's beside this one holds its port there; before it is bound. */
  set kernelHolds(isHeld: boolean) {
    if (this.row !== NONE) this.stack.tcpRows.set(this.row, RowFlags.KERNEL_HOLDS, isHeld);
  }

  /** Whether it holds a local port. */
  get hasPort(): boolean {
    return this.row !== NONE && this.stack.tcpRows.has(this.row, RowFlags.HAS_PORT);
  }

  /** The interface that it is bound to, by an address or as such, or 0. */
  get zone(): number {
    return this.row === NONE ? 0 : this.stack.tcpRows.ifIndex[this.row]!;
  }

  get isV6only(): boolean {
    return this.row !== NONE && this.stack.tcpRows.has(this.row, RowFlags.V6ONLY);
  }

  /** Waits for connections; binds to a free port if need be. May be called again for the backlog. */
  listen(backlog: number): number {
    if (this.row === NONE) return -EBADF;
    const { tcpRows, tcpPorts, tcpBind, tcp } = this.stack;
    const state = this.state;
    if ((state !== State.CLOSED && state !== State.LISTEN) || this.wasConnected) return -EINVAL;
    if (state === State.CLOSED) {
      if (!this.hasPort) {
        const port = tcpBind.bind(this.row, this.localAddress, 0);
        if (port < 0) return port;
        this.setLocal(this.localAddress, port);
      } else if (tcpPorts.conflicts(this.row, this.localAddress, this.localPort, false)) {
        return -EADDRINUSE;
      }
      const claimed = tcpPorts.shared?.listen(this.row, this.localAddress, this.localPort) ?? 0;
      if (claimed < 0) return claimed;
    }
    const result = tcp.listen(this.row, backlog, this.stack.nowUs);
    if (result < 0 && state === State.CLOSED) tcpPorts.shared?.stopListening(this.row);
    if (result >= 0 && !tcpRows.has(this.row, RowFlags.LISTENS)) tcpPorts.addListener(this.row);
    return result;
  }

  /** The next connection, or null with the reason in `acceptErrno`. */
  accept(): TcpSocket | null {
    const { tcp, tcpRows } = this.stack;
    const row = this.row === NONE ? -EBADF : tcp.accept(this.row);
    if (row < 0) {
      this.acceptErrno = row;
      return null;
    }
    const family = tcpRows.has(row, RowFlags.FAMILY6) ? Family.INET6 : Family.INET;
    return this.stack.adopt(row, family);
  }

  /**
   * Starts a connection: -EINPROGRESS, then OUT or ERR readiness says how it went. `ifIndex` is the
   * scope of a link-local IPv6 address.
   */
  connect(address: IpAddress, port: number, ifIndex = 0): number {
    const refused = this.row === NONE ? -EBADF : this.refuseConnect(address, port);
    if (refused !== 0) return refused;
    if (needsZone(address) && !address.isMulticast) {
      if (ifIndex === 0 && this.zone === 0) return -EINVAL;
      if (ifIndex !== 0 && this.zone !== 0 && this.zone !== ifIndex) return -EINVAL;
    }
    const { ip, tcp, tcpRows } = this.stack;
    const to = !address.isUnspecified ? address : address.isV4 ? LOOPBACK4 : LOOPBACK6;
    const isFixed = tcpRows.has(this.row, RowFlags.ADDRESS_FIXED);
    const from = isFixed ? this.localAddress : homeTowards(tcpRows.homeOf(this.row), to);
    const path = ip.resolve(to, from, ifIndex === 0 ? tcpRows.ifIndex[this.row]! : ifIndex);
    if (path === null) return -Math.abs(ip.resolveErrno);
    if (path.kind !== PathKind.UNICAST && path.kind !== PathKind.LOCAL) return -ENETUNREACH;
    const localPort = this.portFor(path.src, to, port, path.kind === PathKind.LOCAL);
    if (localPort < 0) {
      tcp.forgetPlace();
      return localPort;
    }
    this.setLocal(path.src, localPort);
    tcp.setRemote(this.row, to, port);
    if (ifIndex !== 0 && !to.isV4 && to.isLinkLocal) tcpRows.ifIndex[this.row] = ifIndex;
    const result = tcp.connect(this.row, this.stack.nowUs);
    return result === -EADDRINUSE ? this.stack.tcpHost.bindErrno : result;
  }

  private refuseConnect(address: IpAddress, port: number): number {
    if (!(port >= 0 && port <= 0xffff)) return -EINVAL;
    const state = this.state;
    if (state === State.SYN_SENT || state === State.SYN_RECEIVED) return -EALREADY;
    if (state !== State.CLOSED || this.wasConnected) return -EISCONN;
    if (this.family === Family.INET && !address.isV4) return -EAFNOSUPPORT;
    return address.isV4 && this.isV6only ? -ENETUNREACH : 0;
  }

  /** The bound port, or one chosen for the peer. A port of an earlier attempt is given back. */
  private portFor(
    local: IpAddress,
    remote: IpAddress,
    remotePort: number,
    isLocal: boolean,
  ): number {
    const { tcpRows, tcpPorts, tcpBind } = this.stack;
    if (tcpRows.has(this.row, RowFlags.SHARED_PORT)) tcpPorts.release(this.row);
    else if (this.hasPort) {
      const { localPort } = this;
      tcpBind.makeRoom(local, localPort, remote, remotePort, isLocal); // connect says if there is none
      return localPort;
    }
    return tcpBind.chooseForConnect(this.row, local, remote, remotePort, isLocal);
  }

  /**
   * Queues up to `n` bytes; returns how many. -EAGAIN when the send buffer is full, -EPIPE after
   * the sending side ended. Flags: MORE, OOB.
   */
  send(bytes: Uint8Array, at = 0, n: number = bytes.length - at, flags = 0): number {
    if (this.row === NONE) return -EBADF;
    return this.stack.tcp.send(this.row, bytes, at, n, flags, this.stack.nowUs);
  }

  /** Hot path. Whether the connection leads to this host itself. */
  get isToHere(): boolean {
    return this.row !== NONE && this.stack.tcpHost.isLocal(this.view());
  }

  /** Hot path. Whether what it sends may go to the other end without segments (`HandOver`). */
  mayHandOver(far: TcpSocket): number {
    const { stack, row } = this;
    const isOpen = row !== NONE && far.row !== NONE;
    return isOpen && !stack.tcpRows.asksForTtl(far.row)
      ? stack.tcp.mayHandOver(row, far.row, stack.nowUs)
      : HandOver.NO;
  }

  /** Hot path. `n` bytes are with the other end: {@link mayHandOver} has just allowed it. */
  handedOver(far: TcpSocket, n: number): void {
    this.stack.tcp.handOver(this.row, far.row, n);
  }

  /** Reads up to `n` bytes; 0 at the end of the stream, -EAGAIN. Flags: PEEK, OOB, TRUNC. */
  receive(bytes: Uint8Array, at = 0, n: number = bytes.length - at, flags = 0): number {
    if (this.row === NONE) return -EBADF;
    return this.stack.tcp.receive(this.row, bytes, at, n, flags, this.stack.nowUs);
  }

  /**
   * Zero-copy: a slot of in-order bytes, `pool.at[slot]` to `pool.end[slot]`, now the caller's, who
   * gives it back to the pool; or -EAGAIN, or `END_OF_DATA` of tcp/transfer.ts, which is no error number.
   */
  receiveSlot(): number {
    if (this.row === NONE) return -EBADF;
    return this.stack.tcp.receiveSlot(this.row, this.stack.nowUs);
  }

  /** Bytes that `receive` would return now (FIONREAD). */
  get readableBytes(): number {
    return this.row === NONE ? 0 : Math.max(0, this.view().rcvQueuedBytes);
  }

  /**
   * Ends a direction (`Shutdown`). -ENOTCONN without a connection. Ends an attempt to connect, and,
   * unless it is for writing only, a listener's listening: both may begin again.
   */
  shutdown(how: number): number {
    if (this.row === NONE) return -EBADF;
    if (how < 0 || how > 2) return -EINVAL;
    const result = this.stack.tcp.shutdown(this.row, how, this.stack.nowUs);
    if (this.state === State.CLOSED) this.stack.tcpPorts.removeListener(this.row);
    return result;
  }

  /** Ends the socket; what was sent is still delivered, unless SO_LINGER says 0. */
  override close(): void {
    if (this.row === NONE) return;
    const row = this.row;
    this.detach();
    this.stack.tcp.close(row, this.stack.nowUs);
  }

  /** Ends the socket and the connection at once, with RST. */
  abort(): void {
    if (this.row === NONE) return;
    const row = this.row;
    this.detach();
    this.stack.tcp.abort(row, this.stack.nowUs);
  }

  /** The port was not asked for by number, though it was given by one: a disconnection loses it. */
  loosenPort(): void {
    if (this.row !== NONE) this.stack.tcpRows.set(this.row, RowFlags.PORT_FIXED, false);
  }

  /**
   * `connect` to AF_UNSPEC: what the socket was, connection or listener, ends at once, with RST where Linux
   * sends one; it may connect, bind or listen again, with the options and the address and port that it was
   * given. ECONNRESET when a connection or an attempt was cut off, 0 when not, or -ENOBUFS.
   */
  disconnect(): number {
    if (this.row === NONE) return -EBADF;
    const { tcp, tcpRows, tcpPorts, nowUs } = this.stack;
    const before = this.row;
    const { state, localAddress, localPort } = this;
    const row = tcp.createLike(before);
    if (row < 0) return row;
    tcpRows.succeed(row, before);
    this.row = row;
    // As in Linux the name still has the port, even when it is no longer held.
    this.setLocal(tcpRows.has(row, RowFlags.ADDRESS_FIXED) ? localAddress : ANY6, localPort);
    if (tcpRows.has(row, RowFlags.PORT_FIXED)) {
      tcpPorts.hold(row, localPort, false);
      tcpPorts.shared?.inherit(row, before);
    }
    this.view().socket = this.id;
    tcpPorts.removeListener(before);
    tcp.tcb.select(before).socket = 0;
    if (isCutOff(state)) tcp.abort(before, nowUs);
    else tcp.close(before, nowUs);
    return isCutOff(state) ? ECONNRESET : 0;
  }

  private detach(): void {
    const row = this.row;
    const ports = (this.localPort << 16) | this.remotePort;
    this.ends = { local: this.localAddress, remote: this.remoteAddress, ports };
    this.stack.tcpPorts.removeListener(row);
    this.view().socket = 0;
    this.row = NONE;
    this.stack.forget(this.id);
    this.forgetWatches();
  }

  override readiness(): number {
    return this.row === NONE ? 0 : this.stack.tcp.readiness(this.row);
  }

  override takeError(): number {
    return this.row === NONE ? 0 : this.stack.tcp.takeError(this.row);
  }

  /** -ENOTCONN until there is a peer. */
  hasPeer(): number {
    return this.remotePort === 0 ? -ENOTCONN : 0;
  }

  override setOption(level: number, option: number, value: number): number {
    return this.row === NONE ? -EBADF : setTcpOption(this, level, option, value);
  }

  override getOption(level: number, option: number): number {
    return this.row === NONE ? -EBADF : getTcpOption(this, level, option);
  }

  /** SO_LINGER: with it, `close` after `seconds` (at once when 0) gives up with RST. */
  setLinger(on: boolean, seconds: number): number {
    if (this.row === NONE) return -EBADF;
    const value = on ? seconds : -1;
    return this.stack.tcp.setOption(this.row, TcpOption.LINGER, value, this.stack.nowUs);
  }

  /** TCP_CONGESTION: `Algorithm` of tcp/recovery.ts. */
  setCongestion(algorithm: number): number {
    if (this.row === NONE) return -EBADF;
    return this.stack.tcp.setOption(this.row, TcpOption.CONGESTION, algorithm, this.stack.nowUs);
  }

  /** The algorithm, or -EBADF. */
  get congestion(): number {
    return this.row === NONE ? -EBADF : this.stack.tcp.getOption(this.row, TcpOption.CONGESTION);
  }

  /** SO_BINDTODEVICE: the interface to use only; "" for any. -ENODEV. */
  bindToDevice(name: string): number {
    if (this.row === NONE) return -EBADF;
    const iface = name === "" ? null : this.stack.interfaceByName(name);
    if (name !== "" && iface === null) return -ENODEV;
    this.stack.tcpRows.ifIndex[this.row] = iface?.index ?? 0;
    return 0;
  }

  /** The connection's figures, as TCP_INFO; null once closed. */
  info(): TcpInfo | null {
    return this.row === NONE ? null : this.stack.tcp.info(this.row, this.stack.nowUs);
  }

  /** Whether the next byte to read is the urgent one (sockatmark(3)). */
  get isAtMark(): boolean {
    return this.row !== NONE && this.stack.tcp.atMark(this.row);
  }

  private setLocal(address: IpAddress, port: number): void {
    this.stack.tcp.setLocal(this.row, address, port);
  }
}

/** Whether a disconnection tells the peer so (tcp_need_reset of Linux), or ends an attempt to connect. */
function isCutOff(state: number): boolean {
  return (
    state === State.ESTABLISHED ||
    state === State.CLOSE_WAIT ||
    state === State.FIN_WAIT_1 ||
    state === State.FIN_WAIT_2 ||
    state === State.SYN_RECEIVED ||
    state === State.SYN_SENT
  );
}

/** A copy of a row's address: 0 the local one, 4 the peer's. */
function addressAt(c: Tcb, offset: number): IpAddress {
  const i = c.i;
  const at = c.addressAt + offset;
  return new IpAddress(i[at], i[at + 1], i[at + 2], i[at + 3]);
}
