/** Test support: a kernel that is made up, a filter that records, a device that has it. */
import { EADDRINUSE, EAGAIN, ENETUNREACH } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import type { Device } from "./device.js";
import type { FlowFilter } from "./flow-filter.js";
import {
  type AddressInfo,
  type KernelNetworkSink,
  type KernelView,
  LinkFlags,
  type LinkInfo,
  type NeighbourInfo,
  Nud,
  type RouteInfo,
  RouteType,
} from "./kernel-network.js";
import type { HeldGroup, HeldPort, KernelHolds, PortRequest } from "./kernel-ports.js";
import { Middleware } from "./middleware.js";

/** Records claims as lines, sorted; full when it holds `limit`. */
export class RecordingFilter implements FlowFilter {
  limit = 1_000;
  private claims: string[] = [];

  get list(): string[] {
    return [...this.claims].sort();
  }

  addFlow(p: number, local: IpAddress, lp: number, remote: IpAddress, rp: number): number {
    return this.add(`flow ${p} ${local}:${lp} ${remote}:${rp}`);
  }
  removeFlow(p: number, local: IpAddress, lp: number, remote: IpAddress, rp: number): void {
    this.remove(`flow ${p} ${local}:${lp} ${remote}:${rp}`);
  }
  addPort(p: number, local: IpAddress, port: number): number {
    return this.add(`port ${p} ${local}:${port}`);
  }
  removePort(p: number, local: IpAddress, port: number): void {
    this.remove(`port ${p} ${local}:${port}`);
  }
  addGroup(group: IpAddress, port: number): number {
    return this.add(`group ${group}:${port}`);
  }
  removeGroup(group: IpAddress, port: number): void {
    this.remove(`group ${group}:${port}`);
  }

  /** As last told. */
  localAddresses: string[] = [];

  setLocalAddresses(addresses: readonly IpAddress[] | null): void {
    this.localAddresses = (addresses ?? []).map((a) => a.toString()).sort();
  }

  private add(claim: string): number {
    if (this.claims.length >= this.limit) return -EAGAIN; // any number below zero
    this.claims.push(claim);
    return 0;
  }

  private remove(claim: string): void {
    const i = this.claims.indexOf(claim);
    if (i < 0) throw new Error(`${claim} was not claimed`);
    this.claims.splice(i, 1);
  }
}

/** A device that has a filter. */
export class SharedDevice extends Middleware {
  readonly kind = "shared";
  private readonly recording: RecordingFilter;

  constructor(inner: Device, filter: RecordingFilter) {
    super(inner);
    this.recording = filter;
  }

  override get filter(): FlowFilter {
    return this.recording;
  }
}

/** Holds ports as a kernel does that has programs on `taken`. */
export class FakeHolds implements KernelHolds {
  readonly held: string[] = [];
  readonly taken = new Set<number>();
  /** At one interface only: `2 53`. */
  readonly takenAt = new Set<string>();
  private nextPort = 40_000;

  holdPort(linkIndex: number, r: PortRequest): HeldPort | number {
    const port = r.port === 0 ? this.nextPort++ : r.port;
    const isTaken = this.taken.has(port) || this.takenAt.has(`${linkIndex} ${port}`);
    if (isTaken) return -EADDRINUSE;
    const name = `${r.protocol} ${r.address}:${port}`;
    let isListening = false;
    this.held.push(name);
    const change = (to: string): void => {
      const from = isListening ? `${name} listening` : name;
      this.held.splice(this.held.indexOf(from), 1, ...(to === "" ? [] : [to]));
    };
    return {
      port,
      listen: () => {
        change(`${name} listening`);
        isListening = true;
        return 0;
      },
      unlisten: () => {
        change(name);
        isListening = false;
      },
      close: () => change(""),
    };
  }

  holdGroup(_linkIndex: number, group: IpAddress): HeldGroup | number {
    const name = `group ${group}`;
    let filter = "";
    this.held.push(name);
    const change = (to: string[]): void => {
      this.held.splice(this.held.indexOf(name + filter), 1, ...to);
    };
    return {
      setFilter: (includes, sources) => {
        const next = sources.length === 0 ? "" : ` ${includes ? "from" : "not from"} ${sources}`;
        change([name + next]);
        filter = next;
      },
      close: () => change([]),
    };
  }
}

const LINK = 7;

/** A kernel with one interface `eth0`, 10.0.0.1/24, and a route to everything on the link. */
export class FakeKernel implements KernelView {
  readonly wakeFd = -1;
  sink: KernelNetworkSink | null = null;
  eth0: LinkInfo;
  own: AddressInfo[] = [];
  /** Next hop of everything; null: on the link. */
  gateway: IpAddress | null = null;
  routeMtuBytes = 0;
  hasRoute = true;
  readonly asked: string[] = [];
  private readonly known = new Map<string, NeighbourInfo>();
  private news: (() => void)[] = [];

  constructor(mac: Uint8Array) {
    const flags = LinkFlags.UP | LinkFlags.RUNNING;
    this.eth0 = { index: LINK, name: "eth0", flags, mtuBytes: 1500, mac: mac.slice() };
    this.own = [addressOf("10.0.0.1", 24)];
  }

  /** As `ip link set eth0 …`. */
  setLink(change: Partial<LinkInfo>): void {
    this.eth0 = { ...this.eth0, ...change };
    this.news.push(() => this.sink?.linkChanged(LINK, this.eth0));
  }

  /** As `ip address`: all of them. */
  setAddresses(...list: AddressInfo[]): void {
    this.own = list;
    this.news.push(() => this.sink?.addressesChanged());
    this.news.push(() => this.sink?.routesChanged());
  }

  /** As `ip route`: the next hop of everything, or its MTU. */
  setRoute(gateway: string | null, mtuBytes = 0): void {
    this.gateway = gateway === null ? null : IpAddress.parse(gateway);
    this.routeMtuBytes = mtuBytes;
    this.news.push(() => this.sink?.routesChanged());
  }

  /** As `ip neighbour`. */
  setNeighbour(address: string, mac: Uint8Array, state: number = Nud.REACHABLE): void {
    const info = { linkIndex: LINK, address: IpAddress.parse(address), state, mac: mac.slice() };
    this.known.set(address, info);
    this.news.push(() => this.sink?.neighbourChanged(info));
  }

  poll(): boolean {
    const { news } = this;
    this.news = [];
    for (const tell of news) tell();
    return news.length > 0;
  }

  linkByName(name: string): LinkInfo | null {
    return name === "eth0" ? this.eth0 : null;
  }

  link(index: number): LinkInfo | null {
    return index === LINK ? this.eth0 : null;
  }

  addresses(): Iterable<AddressInfo> {
    return this.own;
  }

  neighbour(_linkIndex: number, address: IpAddress): NeighbourInfo | null {
    return this.known.get(address.toString()) ?? null;
  }

  lookup(dst: IpAddress): RouteInfo | number {
    if (!this.hasRoute) return -ENETUNREACH;
    return {
      type: dst.isMulticast ? RouteType.MULTICAST : RouteType.UNICAST,
      table: 254,
      flags: 0,
      destination: dst,
      destinationBits: 32,
      gateway: this.gateway,
      linkIndex: LINK,
      source: this.own.find((a) => a.address.isV4 === dst.isV4)?.address ?? null,
      mtuBytes: this.routeMtuBytes,
      errno: 0,
    };
  }

  useNeighbour(_linkIndex: number, address: IpAddress): number {
    this.asked.push(address.toString());
    return 0;
  }

  close(): void {}
}

/** An address of `eth0`. */
export function addressOf(text: string, prefixBits: number): AddressInfo {
  const address = IpAddress.parse(text);
  return { linkIndex: LINK, address, prefixBits, flags: 0, broadcast: null };
}
