/**
 * What Node's `dgram` takes for `UDP`: the kernel's socket, Millrace's, or one of each at the same
 * port when it is bound to a wildcard address. Then each datagram goes out where its route is, and
 * both are received from.
 */
import { AsyncResource } from "node:async_hooks";
import {
  EADDRNOTAVAIL,
  EAGAIN,
  EBADF,
  ECANCELED,
  EINVAL,
  ENOBUFS,
  ENOPROTOOPT,
  ENOTCONN,
} from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import { Family, type OptionName } from "../socket/linux-options.js";
import type { Role } from "../socket/rules.js";
import type { UdpSocket } from "../socket/udp-socket.js";
import { Readiness } from "../tcp/readiness.js";
import { addressOf, forBind, forDatagram, indexOfZone, stackSide } from "./accelerator.js";
import { fillName, textOf } from "./names.js";
import { binding, kernelUdp, type NameOut, type NativeRequest, type NativeUdp } from "./natives.js";
import { tell } from "./scope.js";
import type { StackSide } from "./stack-side.js";
import { Carrier, kernel, note } from "./verdict.js";

const { constants } = binding("udp_wrap");
const IPV6_ONLY = constants.UV_UDP_IPV6ONLY ?? 1;
const REUSE_ADDRESS = constants.UV_UDP_REUSEADDR ?? 4;
/** Since Node 22. */
const REUSE_PORT = constants.UV_UDP_REUSEPORT ?? 0;

const TTL_MAX = 255;
const INT_MAX = 2 ** 31 - 1;

/** As libuv reads before others have their turn. */
const READS_MAX = 32;
const SLAB_BYTES = 65_536;
/** A sender must not keep a whole slab for a small datagram for long: larger ones have their own. */
const OWN_BYTES = SLAB_BYTES / 4;

/** How long a decision by route holds for the datagrams that follow. */
const DECISION_US = 100_000;

let slab = new Uint8Array(SLAB_BYTES);
let slabAt = 0;

interface Waiting {
  readonly request: NativeRequest;
  readonly scope: AsyncResource;
  readonly bytes: Uint8Array;
  readonly to: IpAddress | null;
  readonly port: number;
  readonly ifIndex: number;
}

/** A destination as text and what became of it: programs send to few. */
interface Resolved {
  readonly text: string;
  readonly address: IpAddress;
  readonly ifIndex: number;
}

/** Who can be opened anew by a descriptor: the kernel's socket of a handle that has both. */
const ofBoth = new Set<UdpHandle>();

export class UdpHandle {
  onmessage: NativeUdp["onmessage"] | null = null;
  onerror: NativeUdp["onerror"] | null = null;
  readonly real: NativeUdp = kernelUdp(this);
  private readonly scope = new AsyncResource("UDPWRAP");
  private side: StackSide | null = null;
  private socket: UdpSocket | null = null;
  private by: Carrier = Carrier.KERNEL;
  /** Which of both a connected socket uses. */
  private isKernelPeer = false;
  private isConnected = false;
  /** Of a socket of both: an interface of the kernel's was chosen for groups. */
  private areGroupsKernels = false;
  /** Of a socket that is connected by the stack: the kernel's one does not receive. */
  private isKernelDeaf = false;
  private is6 = false;
  private isReceiving = false;
  private isReferenced = true;
  private isClosed = false;
  private wasActive = true;
  private readonly waiting: Waiting[] = [];
  private last: Resolved | null = null;
  private decidedFor: IpAddress | null = null;
  private decidedPort = 0;
  private decidedByStack = false;
  private decidedUntilUs = 0;
  /** Options to be set on Millrace's socket, too. */
  private readonly options: (() => void)[] = [];

  getAsyncId(): number {
    return this.scope.asyncId();
  }

  get fd(): number {
    return this.real.fd;
  }

  /** The kernel's handle for another process or socket, which receives from now on; null: there is none. */
  passOn(): NativeUdp | null {
    if (this.by === Carrier.MILLRACE) return null;
    if (this.by === Carrier.BOTH) {
      this.closeStack();
      this.by = Carrier.KERNEL;
      note(this, "udp bind", "", kernel("others have its descriptor, too"));
    }
    return this.real;
  }

  // Deciding

  open(fd: number): number {
    for (const other of ofBoth) if (other.fd === fd) other.passOn();
    note(this, "udp open", `fd ${fd}`, kernel("the descriptor was opened elsewhere"));
    return this.real.open(fd);
  }

  bind(address: string, port: number, flags: number): number {
    return this.bindTo(address, port, flags, false);
  }

  bind6(address: string, port: number, flags: number): number {
    return this.bindTo(address, port, flags, true);
  }

  private bindTo(text: string, port: number, flags: number, is6: boolean): number {
    const parsed = addressOf(text);
    if (parsed === null || !isOf(text, is6)) return -EINVAL;
    this.is6 = is6;
    const verdict = forBind("udp_receiver", parsed.address, port);
    if (verdict.by !== Carrier.MILLRACE) {
      const result = is6 ? this.real.bind6(text, port, flags) : this.real.bind(text, port, flags);
      if (result !== 0 || verdict.by === Carrier.KERNEL) {
        if (result === 0) note(this, "udp bind", `${text} port ${port}`, verdict);
        return result;
      }
    }
    let bound = port;
    if (verdict.by === Carrier.BOTH) {
      const name: NameOut = {};
      this.real.getsockname(name);
      bound = name.port ?? 0;
    }
    const result = this.bindStack(parsed.address, bound, flags, indexOfZone(parsed.zone));
    if (result < 0) {
      if (verdict.by === Carrier.MILLRACE) return result;
      note(this, "udp bind", text, kernel(`the port is taken in Millrace (${result})`));
      return 0;
    }
    this.by = verdict.by;
    if (verdict.by === Carrier.BOTH) ofBoth.add(this);
    note(this, "udp bind", `${text} port ${bound}`, verdict);
    return 0;
  }

  private bindStack(address: IpAddress, port: number, flags: number, ifIndex: number): number {
    const side = stackSide()!;
    side.host.enter();
    const socket = side.stack.udpSocket(this.is6 ? Family.INET6 : Family.INET);
    if ((flags & IPV6_ONLY) !== 0) socket.set("IPV6_V6ONLY", 1);
    if ((flags & REUSE_ADDRESS) !== 0) socket.set("SO_REUSEADDR", 1);
    if ((flags & REUSE_PORT) !== 0) socket.set("SO_REUSEPORT", 1);
    const result = socket.bind(address, port, ifIndex);
    if (result < 0) {
      socket.close();
      return result;
    }
    this.side = side;
    this.socket = socket;
    for (const apply of this.options) apply();
    side.host.attach(socket, this);
    this.referenceChanged();
    return 0;
  }

  connect(address: string, port: number): number {
    return this.connectTo(address, port, false);
  }

  connect6(address: string, port: number): number {
    return this.connectTo(address, port, true);
  }

  private connectTo(text: string, port: number, is6: boolean): number {
    const { socket, side } = this;
    const to = this.resolve(text);
    if (to === null) return -EINVAL;
    if (socket === null || !this.goesByStack("udp_connect", to.address, port)) {
      if (this.by === Carrier.MILLRACE) return -ENOTCONN;
      const result = is6 ? this.real.connect6(text, port) : this.real.connect(text, port);
      this.isKernelPeer = this.isConnected = result === 0;
      return result;
    }
    side!.host.enter();
    const result = socket.connect(to.address, port, to.ifIndex);
    this.isKernelPeer = false;
    this.isConnected = result >= 0;
    // Strangers must not get through by the kernel's socket. It may have no route to the peer.
    if (result >= 0 && this.by === Carrier.BOTH) {
      const filtered = is6 ? this.real.connect6(text, port) : this.real.connect(text, port);
      this.isKernelDeaf = filtered !== 0;
      if (this.isKernelDeaf && this.isReceiving) this.real.recvStop();
    }
    return Math.min(result, 0);
  }

  disconnect(): number {
    if (!this.isConnected) return -ENOTCONN;
    this.isConnected = false;
    if (this.isKernelPeer) {
      this.isKernelPeer = false;
      return this.real.disconnect();
    }
    if (this.isKernelDeaf) {
      this.isKernelDeaf = false;
      if (this.isReceiving) this.real.recvStart();
    } else if (this.by === Carrier.BOTH) this.real.disconnect();
    return Math.min(0, this.socket!.disconnect());
  }

  private resolve(text: string): Resolved | null {
    if (this.last?.text === text) return this.last;
    const parsed = addressOf(text);
    if (parsed === null || !isOf(text, this.is6)) return null;
    this.last = { text, address: parsed.address, ifIndex: indexOfZone(parsed.zone) };
    return this.last;
  }

  /** Whether a datagram goes out by the stack. */
  private goesByStack(role: Role, to: IpAddress, port: number): boolean {
    const { socket } = this;
    if (socket === null) return false;
    if (this.by === Carrier.MILLRACE) return true;
    if (this.areGroupsKernels && to.isMulticast) return false;
    const { nowUs } = this.side!.stack;
    if (this.decidedFor === to && this.decidedPort === port && nowUs < this.decidedUntilUs) {
      return this.decidedByStack;
    }
    const from = { address: socket.localAddress, port: socket.localPort };
    this.decidedByStack = forDatagram(role, to, port, from).by === Carrier.MILLRACE;
    this.decidedFor = to;
    this.decidedPort = port;
    // At loopback addresses it depends on who is there now.
    this.decidedUntilUs = to.isLoopback ? 0 : nowUs + DECISION_US;
    return this.decidedByStack;
  }

  // Sending

  send(request: NativeRequest, list: Uint8Array[], n: number, ...rest: unknown[]): number {
    return this.sendTo(request, list, n, rest, false);
  }

  send6(request: NativeRequest, list: Uint8Array[], n: number, ...rest: unknown[]): number {
    return this.sendTo(request, list, n, rest, true);
  }

  /** `rest` is port, address and whether there is a callback; for a connected socket the latter only. */
  private sendTo(
    request: NativeRequest,
    list: Uint8Array[],
    n: number,
    rest: unknown[],
    is6: boolean,
  ): number {
    const { socket } = this;
    const hasAddress = rest.length > 1;
    const port = hasAddress ? (rest[0] as number) : 0;
    const to = hasAddress ? this.resolve(rest[1] as string) : null;
    const byStack =
      socket !== null &&
      (to === null
        ? this.isConnected && !this.isKernelPeer
        : this.goesByStack("udp_sender", to.address, port));
    if (!byStack) {
      return is6
        ? this.real.send6(request, list, n, ...rest)
        : this.real.send(request, list, n, ...rest);
    }
    const bytes = n === 1 ? bytesOf(list[0]!) : Buffer.concat(list.map(bytesOf));
    const { host } = this.side!;
    host.enter();
    const address = to?.address ?? null;
    const ifIndex = to?.ifIndex ?? 0;
    const sent =
      this.waiting.length > 0
        ? -EAGAIN
        : socket.send(bytes, 0, bytes.length, address, port, ifIndex);
    host.kick();
    if (sent >= 0) return sent + 1; // done, says libuv
    if (sent !== -EAGAIN && sent !== -ENOBUFS) return sent;
    const scope = new AsyncResource("UDPSENDWRAP");
    this.waiting.push({ request, scope, bytes, to: address, port, ifIndex });
    this.referenceChanged();
    return 0;
  }

  private sendWaiting(): void {
    for (;;) {
      const w = this.waiting[0];
      if (w === undefined || this.socket === null) break;
      const sent = this.socket.send(w.bytes, 0, w.bytes.length, w.to, w.port, w.ifIndex);
      if (sent === -EAGAIN || sent === -ENOBUFS) break;
      this.waiting.shift();
      tellSent(w, sent < 0 ? sent : 0, Math.max(0, sent));
    }
    this.referenceChanged();
  }

  getSendQueueSize(): number {
    let bytes = this.real.getSendQueueSize();
    for (const w of this.waiting) bytes += w.bytes.length;
    return bytes;
  }

  getSendQueueCount(): number {
    return this.real.getSendQueueCount() + this.waiting.length;
  }

  // Receiving

  recvStart(): number {
    this.isReceiving = true;
    this.referenceChanged();
    if (this.socket !== null) this.side!.host.tellAgain(this.socket);
    if (this.by === Carrier.MILLRACE) return 0;
    this.real.onmessage = (n, _handle, data, from) => this.onmessage?.(n, this, data, from);
    this.real.onerror = (n, _handle, error) => this.onerror?.(n, this, error);
    return this.isKernelDeaf ? 0 : this.real.recvStart();
  }

  recvStop(): number {
    this.isReceiving = false;
    this.referenceChanged();
    return this.by === Carrier.MILLRACE ? 0 : this.real.recvStop();
  }

  onReady(bits: number): void {
    if ((bits & (Readiness.OUT | Readiness.ERR)) !== 0 && this.waiting.length > 0) {
      this.sendWaiting();
    }
    if (this.isReceiving && (bits & (Readiness.IN | Readiness.ERR)) !== 0) this.pump();
  }

  /** Hot path. */
  private pump(): void {
    for (let reads = 0; this.isReceiving && this.socket !== null; reads++) {
      const { socket } = this;
      if (reads === READS_MAX) {
        this.side!.host.tellAgain(socket);
        return;
      }
      const size = socket.readableBytes;
      const own = size > OWN_BYTES;
      const into = own ? Buffer.allocUnsafeSlow(size) : roomFor(size);
      const at = own ? 0 : slabAt;
      const n = socket.receive(into, at, into.length - at);
      if (n === -EAGAIN || n === -EBADF) return;
      const { onmessage } = this;
      if (onmessage === null || this.isKernelPeer) continue; // not from the peer
      if (n < 0) {
        tell(this.scope, onmessage, this, n, this);
        continue;
      }
      if (!own) slabAt = (at + n + 7) & ~7;
      const data = Buffer.from(into.buffer as ArrayBuffer, at, n);
      tell(this.scope, onmessage, this, n, this, data, {
        address: textOf(socket.from, this.is6, socket.toIfIndex, this.side!.stack),
        family: this.is6 ? "IPv6" : "IPv4",
        port: socket.fromPort,
      });
    }
  }

  onHostClosed(): void {
    this.socket = null;
  }

  // Names

  getsockname(out: NameOut): number {
    const { socket } = this;
    if (socket === null || (this.by === Carrier.BOTH && !this.isConnected) || this.isKernelPeer) {
      return this.real.getsockname(out);
    }
    const { localAddress, localPort, endpoint } = socket;
    return fillName(out, localAddress, localPort, this.is6, endpoint.ifIndex, this.side!.stack);
  }

  getpeername(out: NameOut): number {
    const { socket } = this;
    if (socket === null || this.isKernelPeer) return this.real.getpeername(out);
    if (!this.isConnected) return -ENOTCONN;
    const { remoteAddress, remotePort } = socket;
    return fillName(out, remoteAddress, remotePort, this.is6, 0, this.side!.stack);
  }

  // Options and groups

  setTTL(ttl: number): number {
    if (ttl < 1 || ttl > TTL_MAX) return -EINVAL;
    this.setLater(this.is6 ? ["IP_TTL", "IPV6_UNICAST_HOPS"] : ["IP_TTL"], ttl);
    return this.byKernel((real) => real.setTTL(ttl));
  }

  setMulticastTTL(ttl: number): number {
    if (ttl < 0 || ttl > TTL_MAX) return -EINVAL;
    this.setLater(["IP_MULTICAST_TTL"], ttl);
    return this.byKernel((real) => real.setMulticastTTL(ttl));
  }

  setMulticastLoopback(on: number): number {
    this.setLater(["IP_MULTICAST_LOOP"], on);
    return this.byKernel((real) => real.setMulticastLoopback(on));
  }

  setBroadcast(on: number): number {
    this.setLater(["SO_BROADCAST"], on);
    return this.byKernel((real) => real.setBroadcast(on));
  }

  private setLater(names: OptionName[], value: number): void {
    const apply = (): void => {
      for (const name of names) this.socket?.set(name, value);
    };
    if (this.socket === null) this.options.push(apply);
    else apply();
  }

  private byKernel(call: (real: NativeUdp) => number): number {
    return this.by === Carrier.MILLRACE ? 0 : call(this.real);
  }

  setMulticastInterface(text: string): number {
    const parsed = addressOf(text);
    const { socket } = this;
    if (parsed === null) return -EINVAL;
    if (socket === null) return this.real.setMulticastInterface(text);
    if (!this.is6 && isOf(text, true)) return -ENOPROTOOPT; // as Linux: libuv asks by the text
    const index = this.interfaceOf(parsed);
    const isNone = parsed.address.isUnspecified && parsed.zone === "";
    if (index !== 0 || isNone) {
      socket.endpoint.multicastIf = index;
      socket.endpoint.optionsChanged();
      this.sendToGroupsBy(Carrier.MILLRACE);
      if (index !== 0) return 0;
    }
    if (this.by === Carrier.MILLRACE) return isNone ? 0 : -EADDRNOTAVAIL;
    const result = this.real.setMulticastInterface(text);
    if (result === 0 && !isNone) this.sendToGroupsBy(Carrier.KERNEL);
    return result;
  }

  /** Groups' datagrams go out of the interface that was chosen: the kernel has others than Millrace. */
  private sendToGroupsBy(carrier: Carrier): void {
    this.areGroupsKernels = carrier === Carrier.KERNEL;
    this.decidedFor = null;
  }

  addMembership(group: string, iface?: string): number {
    return this.inGroup(group, iface, null, true);
  }

  dropMembership(group: string, iface?: string): number {
    return this.inGroup(group, iface, null, false);
  }

  addSourceSpecificMembership(source: string, group: string, iface?: string): number {
    return this.inGroup(group, iface, source, true);
  }

  dropSourceSpecificMembership(source: string, group: string, iface?: string): number {
    return this.inGroup(group, iface, source, false);
  }

  /** A membership on Millrace's interface, the kernel's, or without an interface both. */
  private inGroup(
    group: string,
    at: string | undefined,
    source: string | null,
    on: boolean,
  ): number {
    const { socket, side } = this;
    const given = at === undefined ? null : addressOf(at);
    const mine = given === null ? null : this.interfaceOf(given);
    const g = addressOf(group)?.address;
    const mayAsk = g !== undefined && mayJoin(g, socket?.localPort ?? 0);
    const askStack =
      socket !== null && side?.device != null && mayAsk && (given === null || mine !== 0);
    const askKernel =
      this.by !== Carrier.MILLRACE && (given === null || mine === 0 || mine === null);
    let stackResult = 0;
    if (askStack) {
      const s = source === null ? undefined : addressOf(source)?.address;
      if (source !== null && s === undefined) return -EINVAL;
      stackResult = Math.min(0, changeGroup(socket, g, s, mine ?? 0, on));
      side?.host.kick();
      if (!askKernel) return stackResult;
    }
    const kernelResult =
      source === null
        ? on
          ? this.real.addMembership(group, at)
          : this.real.dropMembership(group, at)
        : on
          ? this.real.addSourceSpecificMembership(source, group, at)
          : this.real.dropSourceSpecificMembership(source, group, at);
    // The kernel may have no route for groups at all.
    return askStack && stackResult === 0 ? 0 : kernelResult;
  }

  /** Index of Millrace's interface with that address or zone; 0: the kernel's. */
  private interfaceOf(given: { readonly address: IpAddress; readonly zone: string }): number {
    const { side } = this;
    if (side === null) return 0;
    const { stack } = side;
    const iface =
      given.zone === ""
        ? stack.ip.interfaceOf(given.address)
        : stack.interfaceByIndex(indexOfZone(given.zone));
    // Groups on loopback reach other processes, too.
    if (iface === null || (iface.isLoopback && this.by !== Carrier.MILLRACE)) return 0;
    return iface.index;
  }

  /** Node gives `context` for what went wrong; then the result is undefined. */
  bufferSize(bytes: number, isReceive: boolean, context: object): number | undefined {
    if (this.by === Carrier.MILLRACE && bytes > INT_MAX) {
      const syscall = isReceive ? "uv_recv_buffer_size" : "uv_send_buffer_size";
      const why = { errno: -EINVAL, code: "EINVAL", message: "invalid argument", syscall };
      Object.assign(context, why);
      return undefined;
    }
    const name = isReceive ? "SO_RCVBUF" : "SO_SNDBUF";
    if (this.socket !== null && bytes !== 0) this.socket.set(name, bytes);
    if (this.by !== Carrier.MILLRACE) return this.real.bufferSize(bytes, isReceive, context);
    this.socket!.get(name);
    return bytes === 0 ? this.socket!.optionOut : bytes;
  }

  // The process's life

  ref(): void {
    this.setReferenced(true);
  }

  unref(): void {
    this.setReferenced(false);
  }

  hasRef(): boolean {
    return this.isReferenced && !this.isClosed;
  }

  /** What Node calls it in lists of what keeps the process alive. */
  get resourceName(): string {
    return "UDPWrap";
  }

  /** Whether such lists have the kernel's handle behind it. */
  get hasActiveKernel(): boolean {
    return this.real.hasRef();
  }

  private setReferenced(on: boolean): void {
    this.isReferenced = on;
    if (on) this.real.ref();
    else this.real.unref();
    this.referenceChanged();
  }

  private referenceChanged(): void {
    if (this.socket === null) return;
    const isActive = this.isReferenced && (this.isReceiving || this.waiting.length > 0);
    if (isActive === this.wasActive) return;
    this.wasActive = isActive;
    this.side!.host.setRef(this.socket, isActive);
  }

  private closeStack(): void {
    const { socket, side } = this;
    this.socket = null;
    ofBoth.delete(this);
    if (socket === null || side === null) return;
    side.host.enter();
    side.host.detach(socket);
    socket.close();
    side.host.kick();
  }

  close(done?: () => void): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.isReceiving = false;
    this.closeStack();
    this.real.close(() => {
      for (const w of this.waiting.splice(0)) tellSent(w, -ECANCELED, 0);
      if (done !== undefined) this.scope.runInAsyncScope(done);
    });
  }
}

function tellSent({ request, scope }: Waiting, status: number, sent: number): void {
  if (request.oncomplete !== undefined) tell(scope, request.oncomplete, request, status, sent);
}

/** Whether the rules allow a group; those who are bound to a port ask again. */
const mayJoin = (group: IpAddress, port: number): boolean =>
  forBind("udp_receiver", group, port).by !== Carrier.KERNEL;

function changeGroup(
  socket: UdpSocket,
  group: IpAddress,
  source: IpAddress | undefined,
  ifIndex: number,
  on: boolean,
): number {
  if (source === undefined) {
    return on ? socket.joinGroup(group, ifIndex) : socket.leaveGroup(group, ifIndex);
  }
  return on
    ? socket.joinSource(group, source, ifIndex)
    : socket.leaveSource(group, source, ifIndex);
}

/** Whether an address is written as one of the family: libuv takes no other. */
const isOf = (text: string, is6: boolean): boolean => text.includes(":") === is6;

function bytesOf(chunk: Uint8Array): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  const view = chunk as ArrayBufferView;
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Shared memory with at least `size` bytes free from `slabAt` on. */
function roomFor(size: number): Uint8Array {
  if (slabAt + size > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    slabAt = 0;
  }
  return slab;
}
