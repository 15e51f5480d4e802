/**
 * The kernel's half of the interfaces that a stack shares with it: addresses, link state, MTU and
 * neighbours come from there, routes are looked up there, and what changes is applied at once.
 *
 * On a shared interface this stack sends no ARP, ND, IGMP or MLD, checks no duplicates and answers
 * no echo: the kernel does. Addresses of the kernel's other interfaces are put on our loopback:
 * packets for them are ours too (the weak host model), and so are connections to them.
 *
 * | what changes       | what happens                                                             |
 * |--------------------|--------------------------------------------------------------------------|
 * | route, rule        | every path is looked up again when next used                             |
 * | address goes       | nothing is sent from it any more; its connections time out, as in Linux  |
 * | MTU, link, MAC     | of the interface; connections learn their new segment size               |
 * | neighbour          | its hardware address is used from the next frame on                      |
 */
import { EINVAL, ENETUNREACH, ENODEV } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { IpAddress } from "../base/ip-address.js";
import { NEVER } from "../base/time.js";
import { Capability, type Device } from "../nic/device.js";
import type { FlowFilter } from "../nic/flow-filter.js";
import {
  AddressFlags,
  type AddressInfo,
  type KernelNetworkSink,
  type KernelView,
  LinkFlags,
  type LinkInfo,
  type NeighbourInfo,
  Nud,
  type RouteInfo,
} from "../nic/kernel-network.js";
import type { KernelHolds } from "../nic/kernel-ports.js";
import { withOffloads } from "../nic/offload.js";
import * as ethernet from "../wire/ethernet.js";
import { Claims, type SharedLink } from "./claims.js";
import { AddressOrigin, type Interface, type InterfaceAddress } from "./interface.js";
import { broadcastOf, broadcastWord } from "./interface-address.js";
import type { Ip } from "./ip.js";
import type { Neighbour } from "./neighbour.js";
import { SharedGroups } from "./shared-groups.js";
import { SharedUdp } from "./shared-udp.js";

/**
 * Measured: a poll that finds nothing takes 1.1 µs; a turn that finds nothing 88 ns without, 90 with a
 * shared interface (node 20.20, 2 shared cores, 2026-11).
 */
const POLL_INTERVAL_US = 200;
/** Requests to the kernel about one neighbour are no closer than this. */
const USE_INTERVAL_US = 100_000;
const MAC_BYTES = 6;

export interface SharedOptions {
  /** Ours for it; the device's by default. */
  readonly name?: string;
  /** The kernel's; the device's by default. */
  readonly kernelName?: string;
  /** Whether received TCP segments are joined in software; default false. */
  readonly coalesce?: boolean;
}

export class KernelSide implements KernelNetworkSink {
  readonly claims: Claims;
  readonly groups: SharedGroups;
  readonly udp: SharedUdp;
  private readonly ip: Ip;
  private readonly view: KernelView;
  private readonly byLink = new Map<number, SharedLink>();
  private pollAtUs = 0;
  /** When the kernel was last asked about a neighbour. */
  private readonly asked = new WeakMap<Neighbour, number>();

  /** Takes the view, and closes it. */
  constructor(ip: Ip, view: KernelView, holds: KernelHolds) {
    this.ip = ip;
    this.view = view;
    this.claims = new Claims(ip, holds);
    this.groups = new SharedGroups(this.claims, holds);
    this.udp = new SharedUdp(this.claims, this.groups);
    view.sink = this;
  }

  /** Readable when the kernel has something to tell; -1 without. */
  get wakeFd(): number {
    return this.view.wakeFd;
  }

  /**
   * Adds an interface that is shared: it has what the kernel's interface of the device's name has.
   * Throws `NetError`: ENODEV, or EINVAL for a device without a filter.
   */
  addInterface(bare: Device, options: SharedOptions = {}): Interface {
    const { filter } = bare;
    if (filter === undefined) {
      const hint = `${bare.kind} device ${bare.name} takes every frame, so it cannot share its interface with the kernel; give it to Millrace alone, or use AF_XDP`;
      throw new NetError(EINVAL, { syscall: "createHost", hint });
    }
    const link = this.linkNamed(options.kernelName ?? bare.name);
    const device = withOffloads(bare, this.ip.pool, options.coalesce === true);
    const iface = this.ip.add({
      index: link.index, // programs know it by this number
      device,
      name: options.name ?? bare.name,
      mtuBytes: device.mtuBytes,
      isLoopback: false,
      sumsInSoftware: (bare.capabilities & Capability.TX_CHECKSUM) === 0,
    });
    this.share(iface, filter, link);
    return iface;
  }

  private linkNamed(name: string): LinkInfo {
    const link = this.view.linkByName(name);
    if (link !== null) return link;
    const hint = `the kernel has no interface ${name} to share in this network namespace`;
    throw new NetError(ENODEV, { syscall: "createHost", hint });
  }

  private share(iface: Interface, filter: FlowFilter, link: LinkInfo): void {
    iface.kernelIndex = link.index;
    const shared = { iface, linkIndex: link.index, filter };
    this.byLink.set(link.index, shared);
    this.claims.links.push(shared);
    iface.filters.listener = {
      filterChanged: (group, _before, after) => this.groups.filterChanged(iface, group, after),
    };
    this.applyLink(iface, link);
    this.addressesChanged();
  }

  /** The interface is taken away. Precondition: nothing is claimed on it any more. */
  unshare(iface: Interface): void {
    this.byLink.delete(iface.kernelIndex);
    const i = this.claims.links.findIndex((l) => l.iface === iface);
    if (i >= 0) this.claims.links.splice(i, 1);
  }

  /** Hot path. Takes what the kernel has told since; once every {@link POLL_INTERVAL_US}. */
  poll(nowUs: number): void {
    if (nowUs < this.pollAtUs) return;
    this.pollAtUs = nowUs + POLL_INTERVAL_US;
    this.view.poll();
  }

  /** Whether the kernel has an address by now: it may have come since the last poll. */
  hasAddress(a: IpAddress): boolean {
    this.view.poll();
    return this.ip.isLocal(a);
  }

  /** Whether an address is one of the kernel's own. */
  isKernels(address: IpAddress): boolean {
    for (const known of this.view.addresses()) if (known.address.equals(address)) return true;
    return false;
  }

  close(): void {
    this.groups.close();
    this.view.close();
  }

  // Links and addresses

  linkChanged(index: number, link: LinkInfo | null): void {
    const shared = this.byLink.get(index);
    if (shared === undefined) return;
    if (link === null) shared.iface.hasCarrier = false;
    else this.applyLink(shared.iface, link);
    this.ip.invalidatePaths();
  }

  private applyLink(iface: Interface, link: LinkInfo): void {
    const needed = LinkFlags.UP | LinkFlags.RUNNING;
    iface.hasCarrier = (link.flags & needed) === needed;
    iface.setMtu(Math.min(link.mtuBytes, iface.device.mtuBytes));
    if (link.mac.length !== MAC_BYTES) return;
    iface.macHigh = ethernet.high(link.mac, 0);
    iface.macLow = ethernet.low(link.mac, 0);
  }

  addressesChanged(): void {
    const wanted = new Map<Interface, AddressInfo[]>();
    for (const iface of this.ip.interfaces) wanted.set(iface, []);
    for (const a of this.view.addresses()) {
      const iface = this.placeOf(a);
      if (iface !== null) wanted.get(iface)!.push(a);
    }
    for (const [iface, list] of wanted) replaceAddresses(iface, list);
    this.ip.addressesChanged();
    const own = this.ownAddresses();
    for (const { filter } of this.claims.links) tellFilter(filter, own);
  }

  /** Everything that the kernel takes as its own. */
  private ownAddresses(): IpAddress[] {
    const own = [IpAddress.v4(-1)];
    for (const a of this.view.addresses()) {
      own.push(a.address);
      const word = broadcastWord(a.address, a.prefixBits);
      if (word !== 0) own.push(IpAddress.v4(word));
      if (a.broadcast !== null && a.broadcast.w3 !== word) own.push(a.broadcast);
    }
    return own;
  }

  /** The interface that an address of the kernel's is put on; null: none of ours. */
  private placeOf(a: AddressInfo): Interface | null {
    if ((a.flags & AddressFlags.DAD_FAILED) !== 0) return null;
    const shared = this.byLink.get(a.linkIndex);
    if (shared !== undefined) return shared.iface;
    // A link-local address means nothing without its link.
    const isOurs = a.address.isLoopback || (!a.address.isV4 && a.address.isLinkLocal);
    return isOurs ? null : this.ip.lo;
  }

  routesChanged(): void {
    this.ip.invalidatePaths();
  }

  // Routes

  /**
   * How the kernel sends to `dst` from `src` (null: any) through one of our shared interfaces
   * (`ifIndex`, 0: any), or a negated error number.
   */
  lookup(dst: IpAddress, src: IpAddress | null, ifIndex: number): RouteInfo | number {
    const through = ifIndex === 0 ? 0 : (this.ip.interfaceAt(ifIndex)?.kernelIndex ?? 0);
    const route = this.view.lookup(dst, src, through);
    if (typeof route === "number" || this.byLink.has(route.linkIndex)) return route;
    this.ip.count("routedElsewhere");
    return -ENETUNREACH;
  }

  /** Our interface that shares this link of the kernel's. Precondition: it is one of {@link lookup}. */
  interfaceOf(route: RouteInfo): Interface {
    return this.byLink.get(route.linkIndex)!.iface;
  }

  // Neighbours

  /** A neighbour of a shared interface is new to us: the kernel may know it. */
  learn(n: Neighbour): void {
    const known = this.view.neighbour(n.iface.kernelIndex, n.address);
    if (known !== null) this.neighbourChanged(known);
  }

  /** Hot path of first packets. Has the kernel resolve a neighbour, or confirm a stale one. */
  use(n: Neighbour): void {
    const last = this.asked.get(n);
    const nowUs = this.ip.nowUs;
    if (last !== undefined && nowUs - last < USE_INTERVAL_US) return;
    this.asked.set(n, nowUs);
    if (this.view.useNeighbour(n.iface.kernelIndex, n.address) < 0) {
      this.ip.count("neighbourRequestsRefused");
    }
    this.pollAtUs = 0;
  }

  neighbourChanged(info: NeighbourInfo): void {
    const shared = this.byLink.get(info.linkIndex);
    if (shared === undefined) return;
    const n = this.ip.neighbours.find(shared.iface, info.address);
    if (n === null) return;
    const { mac, state } = info;
    if (state === 0 || (state & Nud.FAILED) !== 0) this.ip.neighbours.kernelLost(n, state !== 0);
    else if (mac.length === MAC_BYTES) {
      const isSure = (state & (Nud.REACHABLE | Nud.NOARP | Nud.PERMANENT)) !== 0;
      this.ip.neighbours.kernelKnows(n, ethernet.high(mac, 0), ethernet.low(mac, 0), isSure);
    }
  }
}

/** A filter that cannot take so many addresses takes all. */
function tellFilter(filter: FlowFilter, own: readonly IpAddress[]): void {
  for (const addresses of [own, null]) {
    try {
      filter.setLocalAddresses?.(addresses);
      return;
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
    }
  }
}

/** Makes the addresses that come from the kernel what they are there. */
function replaceAddresses(iface: Interface, list: readonly AddressInfo[]): void {
  const { addresses } = iface;
  const kept = addresses.filter((a) => a.origin !== AddressOrigin.KERNEL);
  addresses.splice(0, addresses.length, ...kept, ...list.map((a) => entryOf(a, iface)));
}

function entryOf(a: AddressInfo, iface: Interface): InterfaceAddress {
  return {
    address: a.address.copy(),
    prefixBits: a.prefixBits,
    broadcast: broadcastOf(a.address, a.prefixBits, iface),
    origin: AddressOrigin.KERNEL,
    isTentative: (a.flags & AddressFlags.TENTATIVE) !== 0,
    isDeprecated: (a.flags & AddressFlags.DEPRECATED) !== 0,
    preferredUntilUs: NEVER,
    validUntilUs: NEVER,
  };
}
