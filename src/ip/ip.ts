/**
 * The IP layer of a stack: interfaces, addresses, routes, neighbours, input and output, and the
 * protocols that belong to it (ICMP, ND, ARP, IGMP, MLD). It joins the parts; each part is a file.
 *
 * Polled: a turn is `receiveAll`, `runTimers`, `flush`, each with the time. Transports register by
 * protocol number. Nothing here reads a clock, throws on a packet, or calls a user.
 */
import { Counters } from "../base/counters.js";
import { ENETUNREACH } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import { Random } from "../base/random.js";
import type { Device } from "../nic/device.js";
import { ArenaChecksum } from "../ring/arena-checksum.js";
import { Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import { DROP_MEANINGS, Drop, type DropName } from "../wire/drop.js";
import * as protocols from "../wire/ip-protocol.js";
import { Addresses } from "./addresses.js";
import { Arp } from "./arp.js";
import { Deadline } from "./deadline.js";
import { EchoSockets } from "./echo.js";
import { FrameInput } from "./frame-input.js";
import { Icmpv4 } from "./icmpv4.js";
import { Icmpv6 } from "./icmpv6.js";
import { Igmp } from "./igmp.js";
import { Interface, type InterfaceParts } from "./interface.js";
import { addUserAddress, announceAddresses, removeAddress } from "./interface-address.js";
import { InterfaceNumbers } from "./interface-numbers.js";
import { IP_COUNTERS, type IpCounter } from "./ip-counters.js";
import { Ipv4Input } from "./ipv4-input.js";
import { Ipv6Input } from "./ipv6-input.js";
import type { KernelSide } from "./kernel-side.js";
import { LOOPBACK_MTU_BYTES, LoopbackDevice } from "./loopback.js";
import { Mld } from "./mld.js";
import { MulticastFilters } from "./multicast.js";
import { Nd } from "./nd.js";
import type { Neighbour } from "./neighbour.js";
import { NeighbourTable } from "./neighbours.js";
import { Output } from "./output.js";
import { addOwnedInterface, type InterfaceOptions } from "./owned-interface.js";
import { PacketInfo } from "./packet-info.js";
import type { Path } from "./path.js";
import { PathCache } from "./path-cache.js";
import { PathErrors } from "./path-errors.js";
import { PathMtu } from "./path-mtu.js";
import { PlacedOutput } from "./placed-output.js";
import { NO_SINK, type ReadinessSink } from "./readiness-sink.js";
import { Reassembly } from "./reassembly.js";
import { Resolver } from "./resolver.js";
import { Routers } from "./routers.js";
import { RouteTable } from "./routes.js";
import type { SendOptions } from "./send-options.js";
import type { SourceFilter } from "./source-filter.js";
import type { Transport } from "./transport.js";
import { UdpPrediction } from "./udp-prediction.js";
import { addUserRoute, type RouteOptions, removeUserRoutes } from "./user-routes.js";

export interface IpParts {
  readonly pool: Pool;
  readonly checksum?: ArenaChecksum;
  readonly random?: Random;
  /** At least eight secret bytes: they key the path table. */
  readonly secret?: Uint8Array;
  readonly nowUs?: number;
  readonly readiness?: ReadinessSink;
}

export class Ip {
  readonly pool: Pool;
  readonly bytes: Uint8Array;
  /** The pool's bytes for whole words: one check and one load where single bytes take four. */
  readonly view: DataView;
  readonly checksum: ArenaChecksum;
  readonly random: Random;
  readonly counters: Counters<IpCounter> = new Counters("ip", IP_COUNTERS);
  readonly drops: Counters<DropName> = new Counters("drop", DROP_MEANINGS);
  /** Time of this turn. */
  nowUs: number;
  /** When `runTimers` has something to do. */
  readonly deadline: Deadline = new Deadline();
  /** Those that exist, in the order in which they came; the first is `lo`. */
  readonly interfaces: Interface[] = [];
  private readonly numbers = new InterfaceNumbers();
  readonly loopback: LoopbackDevice;
  readonly lo: Interface;
  readonly addresses: Addresses;
  readonly routes: RouteTable = new RouteTable();
  readonly paths: PathCache;
  readonly pathMtu: PathMtu;
  readonly neighbours: NeighbourTable;
  readonly resolver: Resolver;
  readonly output: Output;
  readonly placed: PlacedOutput;
  readonly reassembly: Reassembly;
  readonly errors: PathErrors;
  readonly arp: Arp;
  readonly nd: Nd;
  readonly routers: Routers;
  readonly icmp4: Icmpv4;
  readonly icmp6: Icmpv6;
  readonly igmp: Igmp;
  readonly mld: Mld;
  readonly echo: EchoSockets;
  /** What the kernel does for interfaces that are shared with it; null without such. */
  kernel: KernelSide | null = null;
  readonly input4: Ipv4Input;
  readonly input6: Ipv6Input;
  readonly prediction: UdpPrediction;
  /** By protocol number. */
  readonly transports: (Transport | null)[] = new Array(256).fill(null);
  /** What is known of the packet in work. */
  readonly info: PacketInfo = new PacketInfo();
  readiness: ReadinessSink;
  readonly frames: FrameInput;
  private readonly batch = new Batch();

  constructor(parts: IpParts) {
    const secret = parts.secret ?? new Uint8Array(8);
    const word = (i: number): number =>
      (secret[i]! << 24) | (secret[i + 1]! << 16) | (secret[i + 2]! << 8) | secret[i + 3]!;
    this.pool = parts.pool;
    this.bytes = parts.pool.bytes;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.checksum = parts.checksum ?? new ArenaChecksum(parts.pool.memory.arena);
    this.random = parts.random ?? new Random(word(0) ^ word(4));
    this.nowUs = parts.nowUs ?? 0;
    this.readiness = parts.readiness ?? NO_SINK;
    this.addresses = new Addresses(this.interfaces);
    this.prediction = new UdpPrediction(this.pool, this.view, this.checksum);
    this.paths = new PathCache(word(0), word(4));
    this.pathMtu = new PathMtu(this.paths, this.deadline);
    this.neighbours = new NeighbourTable(this);
    this.resolver = new Resolver(this);
    this.output = new Output(this);
    this.placed = new PlacedOutput(this);
    this.reassembly = new Reassembly(this);
    this.errors = new PathErrors(this);
    this.arp = new Arp(this);
    this.nd = new Nd(this);
    this.routers = new Routers(this);
    this.icmp4 = new Icmpv4(this);
    this.icmp6 = new Icmpv6(this);
    this.igmp = new Igmp(this);
    this.mld = new Mld(this);
    this.echo = new EchoSockets(this);
    this.input4 = new Ipv4Input(this);
    this.input6 = new Ipv6Input(this);
    this.frames = new FrameInput(this);
    this.transports[protocols.ICMPV4] = this.icmp4;
    this.transports[protocols.ICMPV6] = this.icmp6;
    this.transports[protocols.IGMP] = this.igmp;
    this.loopback = new LoopbackDevice(parts.pool, 1);
    this.lo = this.add({
      index: 1,
      device: this.loopback,
      name: "lo",
      mtuBytes: LOOPBACK_MTU_BYTES,
      isLoopback: true,
      sumsInSoftware: false,
    });
    this.addAddress(this.lo, "127.0.0.1/8");
    this.addAddress(this.lo, "::1/128");
  }

  // Configuration

  /** Adds an interface around a device of this stack's pool. */
  addInterface(device: Device, options: InterfaceOptions = {}): Interface {
    return addOwnedInterface(this, device, options);
  }

  /** A bare interface: for `owned-interface.ts` and `kernel-side.ts`. `index`: the wanted one, 0 for any. */
  add(parts: Omit<InterfaceParts, "filters">): Interface {
    const index = this.numbers.choose(parts.index);
    const filters = new MulticastFilters();
    const iface = new Interface({ ...parts, index, filters }, this);
    this.numbers.set(iface);
    this.interfaces.push(iface);
    return iface;
  }

  /** Takes an interface away with its addresses, routes and neighbours, and closes its device. */
  removeInterface(iface: Interface): void {
    for (const a of [...iface.addresses]) this.removeAddress(iface, a.address);
    this.routes.remove((r) => r.iface === iface);
    this.neighbours.removeAll(iface);
    this.igmp.removeInterface(iface);
    this.mld.removeInterface(iface);
    iface.discard(Drop.DEVICE_GONE);
    iface.device.close();
    this.kernel?.unshare(iface);
    this.numbers.delete(iface);
    this.interfaces.splice(this.interfaces.indexOf(iface), 1);
    this.addressesChanged();
  }

  /**
   * A device has lost its link: the next one may lead to another peer, so neighbours are forgotten, as
   * Linux does. Or it has one again, where everybody hears of our addresses.
   */
  linkChanged(iface: Interface): void {
    if (iface.kernelIndex !== 0) return; // the kernel sees to both
    if (iface.device.isUp) announceAddresses(this, iface);
    else this.neighbours.linkLost(iface);
  }

  /** The interface of an index, or null. */
  interfaceAt(index: number): Interface | null {
    return this.numbers.at(index);
  }

  /**
   * Whether what came in on `ifIndex` for `dst` is for who is bound to interface `bound`: what this host sends to
   * itself comes in on the interface that has the address, as in Linux.
   */
  isFor(bound: number, ifIndex: number, dst: IpAddress): boolean {
    if (bound === ifIndex) return true;
    return ifIndex === this.lo.index && this.addresses.interfaceOf(dst)?.index === bound;
  }

  /** Whether the kernel answers for an interface, as to echo and neighbour discovery. */
  isShared(ifIndex: number): boolean {
    return (this.numbers.at(ifIndex)?.kernelIndex ?? 0) !== 0;
  }

  interfaceByName(name: string): Interface | null {
    return this.interfaces.find((i) => i.name === name) ?? null;
  }

  /** Adds `10.0.0.1/24` or `fd00::1/64`, its connected route, and tells the neighbours. */
  addAddress(iface: Interface, text: string): void {
    addUserAddress(this, iface, text);
  }

  removeAddress(iface: Interface, address: IpAddress): void {
    removeAddress(this, iface, address);
  }

  addressesChanged(): void {
    this.addresses.rebuild();
    this.prediction.forget();
    this.frames.alone.forget();
    this.paths.invalidate();
  }

  /** As {@link addUserRoute}. */
  addRoute(options: RouteOptions): number {
    return addUserRoute(this, options);
  }

  /** As {@link removeUserRoutes}. */
  removeRoute(destination: string, gateway?: string): number {
    return removeUserRoutes(this, destination, gateway);
  }

  invalidatePaths(): void {
    this.paths.invalidate();
  }

  register(protocol: number, transport: Transport): void {
    this.transports[protocol] = transport;
  }

  // Questions

  /** Hot path. Whether an address is one of ours; 127.0.0.0/8 is. */
  isLocal(a: IpAddress): boolean {
    return this.addresses.isLocal(a);
  }

  /** As {@link isLocal}, for calls of programs: news of the kernel's that nobody has read yet count. */
  mayBind(a: IpAddress): boolean {
    return this.isLocal(a) || (this.kernel?.hasAddress(a) ?? false);
  }

  isBroadcast(a: IpAddress): boolean {
    return a.isV4 && this.addresses.isBroadcast4(a.w3);
  }

  interfaceOf(a: IpAddress): Interface | null {
    return this.addresses.interfaceOf(a);
  }

  /** Whether this interface has the address, in use. */
  hasAddress(iface: Interface, a: IpAddress): boolean {
    return iface.addresses.some((e) => !e.isTentative && e.address.equals(a));
  }

  isTentative(iface: Interface, a: IpAddress): boolean {
    return iface.addresses.some((e) => e.isTentative && e.address.equals(a));
  }

  /** Whether a route goes through this neighbour. */
  isGateway(n: Neighbour): boolean {
    for (const r of this.routes) {
      if (r.iface === n.iface && (r.gateway?.equals(n.address) ?? false)) return true;
    }
    return false;
  }

  /** The address that packets to `dst` would come from; null: there is no route. */
  sourceFor(dst: IpAddress): IpAddress | null {
    return this.resolve(dst, null, 0)?.src ?? null;
  }

  // Sending

  /** The path to `dst` from `src` (null: any) through `ifIndex` (0: any); null: see `resolveErrno`. */
  resolve(dst: IpAddress, src: IpAddress | null, ifIndex: number): Path | null {
    return this.resolver.resolve(dst, src, ifIndex);
  }

  /** Why the last `resolve` returned null (positive). */
  get resolveErrno(): number {
    return this.resolver.errno === 0 ? ENETUNREACH : this.resolver.errno;
  }

  /** Hot path. The path of this id, or null when it has gone. */
  path(id: number): Path | null {
    return this.paths.byId(id);
  }

  /**
   * Hot path. Sends the transport packet `at..end` of the slot; takes the slot in every case. 0, or a
   * negated error number. `at` must leave the pool's headroom before it.
   */
  send(slot: number, path: Path, protocol: number, options: SendOptions): number {
    return this.output.send(slot, path, protocol, options);
  }

  /** Hot path. Forward progress: the next hop is reachable (RFC 4861 §7.3.1). */
  confirmReachable(path: Path): void {
    if (this.neighbours.hasAddress(path.neighbour)) this.neighbours.confirm(path.neighbour);
  }

  // Groups

  /** Sets the filter of a socket (`owner` > 0) for a group; INCLUDE of nothing leaves. */
  setGroup(iface: Interface, owner: number, group: IpAddress, filter: SourceFilter): void {
    iface.filters.set(owner, group, filter);
  }

  // The turn

  /** Hot path. Takes a batch from every device and works it; returns how many frames that were. */
  receiveAll(nowUs: number): number {
    this.nowUs = nowUs;
    if (this.kernel !== null) this.kernel.poll(nowUs);
    const { batch, interfaces } = this;
    let frames = 0;
    for (let i = interfaces.length - 1; i >= 0; i--) {
      const iface = interfaces[i]!;
      // `lo` is asked without a call, which leaves the call below to one class of device.
      if (iface.isLoopback) {
        if (this.loopback.waiting === 0) continue;
        this.loopback.receive(nowUs, batch);
      } else iface.device.receive(nowUs, batch);
      if (batch.n === 0) continue;
      frames = (frames + batch.n) | 0;
      this.input(iface, batch, nowUs);
    }
    return frames;
  }

  /** Hot path. Works a batch of frames received on an interface; takes every slot and empties it. */
  input(iface: Interface, batch: Batch, nowUs: number): void {
    this.nowUs = nowUs;
    if (iface.isLoopback) this.frames.takeLooped(batch);
    else this.frames.take(iface, batch);
    batch.n = 0;
  }

  /** Hot path. Does what is due. */
  runTimers(nowUs: number): void {
    this.nowUs = nowUs;
    if (this.deadline.isDue(nowUs)) this.runDue(nowUs);
  }

  private runDue(nowUs: number): void {
    this.neighbours.runTimers(nowUs);
    this.nd.runTimers(nowUs);
    this.routers.runTimers(nowUs);
    this.reassembly.runTimers(nowUs);
    this.igmp.runTimers(nowUs);
    this.mld.runTimers(nowUs);
    this.pathMtu.runTimers(nowUs);
    this.deadline.atUs = Math.min(
      this.neighbours.nextDeadlineUs(),
      this.nd.nextDeadlineUs(),
      this.routers.nextDeadlineUs(),
      this.reassembly.nextDeadlineUs(),
      this.igmp.nextDeadlineUs(),
      this.mld.nextDeadlineUs(),
      this.pathMtu.nextDeadlineUs(),
    );
  }

  /** Hot path. Hands the devices what was queued between turns, before they are asked for frames. */
  flushQueued(nowUs: number): void {
    const { interfaces } = this;
    for (let i = 0; i < interfaces.length; i++) {
      if (interfaces[i]!.hasQueued) interfaces[i]!.flush(nowUs);
    }
  }

  /** Hot path. Hands queued frames to the devices. */
  flush(nowUs: number): void {
    this.nowUs = nowUs;
    const { interfaces } = this;
    for (let i = interfaces.length - 1; i > 0; i--) interfaces[i]!.flush(nowUs);
    // The first is `lo`, which nothing is queued for but what loops, and which has nothing to flush.
    if (this.lo.backlogFrames > 0) this.lo.flush(nowUs);
  }

  /** When `runTimers` or a device next has something to do. */
  nextDeadlineUs(): number {
    let soonest = this.deadline.atUs;
    for (let i = 0; i < this.interfaces.length; i++) {
      soonest = Math.min(soonest, this.interfaces[i]!.device.nextDeadlineUs());
    }
    return soonest;
  }

  /** Gives back every slot that the layer holds, and closes the devices. */
  close(): void {
    this.neighbours.removeAll(null);
    this.reassembly.close();
    this.kernel?.close();
    for (const iface of this.interfaces) {
      iface.discard(Drop.DEVICE_GONE);
      iface.device.close();
    }
  }

  // Counting

  /** Hot path. The one place where packets are dropped: counts the reason and gives the slot back. */
  drop(slot: number, reason: Drop): void {
    this.drops.values[reason]! += 1;
    this.pool.give(slot);
  }

  /** Counts a packet that was lost before it had a slot. */
  lost(reason: Drop): void {
    this.drops.values[reason]! += 1;
  }

  /** Counts a rare event. */
  count(name: IpCounter): void {
    this.counters.add(this.counters.index(name), 1);
  }
}
