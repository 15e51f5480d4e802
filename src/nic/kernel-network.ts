/**
 * What the kernel knows of the network, for interfaces that are shared with it: its
 * links, addresses and neighbours are mirrored and followed; routes are asked for, one destination
 * at a time, so that policy rules, multipath, next-hop objects and metrics mean what they mean to
 * the kernel (docs/decisions/0002-the-kernel-routes-shared-interfaces.md).
 *
 * Nothing happens by itself: `poll` takes the notifications that have come, updates the mirror and
 * tells the sink. When the kernel had to drop notifications, everything is read anew, and the sink
 * hears of what differs.
 */
import { EIO } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { IpAddress } from "../base/ip-address.js";
import { NetlinkSocket } from "../sys/netlink.js";
import { type MessageReader, MessageWriter } from "../sys/netlink-message.js";
import * as rt from "../sys/rtnetlink.js";

export type { AddressInfo, LinkInfo, NeighbourInfo, RouteInfo } from "../sys/rtnetlink.js";
export { AddressFlags, LinkFlags, Nud, RouteType } from "../sys/rtnetlink.js";

/** Hears of changes; called from `poll` only. */
export interface KernelNetworkSink {
  /** A link is new, has changed, or has gone (null). */
  linkChanged(index: number, link: rt.LinkInfo | null): void;
  /** Some address came, went, or changed its flags. */
  addressesChanged(): void;
  /** Look-ups may be answered differently now. */
  routesChanged(): void;
  /** A neighbour is new or has changed; state 0: the kernel has forgotten it. */
  neighbourChanged(neighbour: rt.NeighbourInfo): void;
}

/** What a stack needs of the kernel's network; tests have one of their own. */
export interface KernelView {
  /** Readable when `poll` has something to take; -1 without. */
  readonly wakeFd: number;
  sink: KernelNetworkSink | null;
  poll(): boolean;
  linkByName(name: string): rt.LinkInfo | null;
  link(index: number): rt.LinkInfo | null;
  addresses(): Iterable<rt.AddressInfo>;
  /** Null when the kernel does not know it. */
  neighbour(linkIndex: number, address: IpAddress): rt.NeighbourInfo | null;
  /** How the kernel would send to `dst`, or a negated error number. */
  lookup(dst: IpAddress, src: IpAddress | null, linkIndex: number): rt.RouteInfo | number;
  /** Has the kernel resolve or confirm a neighbour: 0 or a negated error number. */
  useNeighbour(linkIndex: number, address: IpAddress): number;
  close(): void;
}

const GROUPS =
  rt.RtGroups.LINK |
  rt.RtGroups.NEIGHBOUR |
  rt.RtGroups.ADDRESS4 |
  rt.RtGroups.ADDRESS6 |
  rt.RtGroups.ROUTE4 |
  rt.RtGroups.ROUTE6 |
  rt.RtGroups.RULE4 |
  rt.RtGroups.RULE6 |
  rt.RtGroups.NEXTHOP;
/** Datagrams that one poll takes at most: a turn has other things to do. */
const DATAGRAMS_PER_POLL = 64;

export class KernelNetwork implements KernelView {
  sink: KernelNetworkSink | null = null;
  /** Times that notifications were lost and everything was read anew. */
  resyncs = 0;
  private readonly questions = new NetlinkSocket();
  private readonly news: NetlinkSocket;
  private readonly writer = new MessageWriter();
  private links = new Map<number, rt.LinkInfo>();
  private byAddress = new Map<string, rt.AddressInfo>();
  private neighbours = new Map<string, rt.NeighbourInfo>();
  private haveAddressesChanged = false;
  private haveRoutesChanged = false;
  private wasOverrun = false;
  private readonly take = (m: MessageReader): void => this.takeNews(m);
  private readonly lost = (): void => {
    this.wasOverrun = true;
  };

  /** Throws `NetError` when the kernel has no netlink, or descriptors are short. */
  constructor() {
    try {
      // Subscribed first: what changes during the dumps is heard of afterwards.
      this.news = new NetlinkSocket(GROUPS);
    } catch (error) {
      this.questions.close();
      throw error;
    }
    this.readAll();
  }

  get wakeFd(): number {
    return this.news.fd;
  }

  linkByName(name: string): rt.LinkInfo | null {
    for (const link of this.links.values()) if (link.name === name) return link;
    return null;
  }

  link(index: number): rt.LinkInfo | null {
    return this.links.get(index) ?? null;
  }

  addresses(): Iterable<rt.AddressInfo> {
    return this.byAddress.values();
  }

  neighbour(linkIndex: number, address: IpAddress): rt.NeighbourInfo | null {
    return this.neighbours.get(keyOf(linkIndex, address)) ?? null;
  }

  lookup(dst: IpAddress, src: IpAddress | null, linkIndex: number): rt.RouteInfo | number {
    const seq = this.questions.nextSeq();
    const n = rt.writeRouteLookup(this.writer, dst, src, linkIndex, seq);
    const answer = this.questions.ask(this.writer.bytes, n);
    if (typeof answer === "number") return answer === 0 ? -EIO : answer;
    const route = rt.parseRoute(answer.bytes, answer.at, answer.payloadEnd);
    if (route === null) return -EIO;
    return route.errno === 0 ? route : -route.errno;
  }

  useNeighbour(linkIndex: number, address: IpAddress): number {
    const seq = this.questions.nextSeq();
    const n = rt.writeNeighbourUse(this.writer, linkIndex, address, seq);
    const answer = this.questions.ask(this.writer.bytes, n);
    return typeof answer === "number" ? answer : 0;
  }

  /** Takes what has changed and tells the sink; whether there was anything. */
  poll(): boolean {
    let any = false;
    for (let i = 0; i < DATAGRAMS_PER_POLL && this.news.receive(this.take, this.lost); i++) {
      any = true;
    }
    if (!any && !this.wasOverrun) return false;
    if (this.wasOverrun) this.resync();
    if (this.haveAddressesChanged) this.sink?.addressesChanged();
    if (this.haveRoutesChanged) this.sink?.routesChanged();
    this.haveAddressesChanged = false;
    this.haveRoutesChanged = false;
    return true;
  }

  private takeNews(m: MessageReader): void {
    const { bytes, at, payloadEnd: end } = m;
    switch (m.type) {
      case rt.Rtm.NEW_LINK:
      case rt.Rtm.DEL_LINK:
        this.takeLink(rt.parseLink(bytes, at, end), m.type === rt.Rtm.DEL_LINK);
        break;
      case rt.Rtm.NEW_ADDRESS:
      case rt.Rtm.DEL_ADDRESS:
        this.takeAddress(rt.parseAddress(bytes, at, end), m.type === rt.Rtm.DEL_ADDRESS);
        break;
      case rt.Rtm.NEW_NEIGHBOUR:
      case rt.Rtm.DEL_NEIGHBOUR:
        this.takeNeighbour(rt.parseNeighbour(bytes, at, end), m.type === rt.Rtm.DEL_NEIGHBOUR);
        break;
      case rt.Rtm.NEW_ROUTE:
      case rt.Rtm.DEL_ROUTE: {
        const route = rt.parseRoute(bytes, at, end);
        if (route !== null && (route.flags & rt.ROUTE_CLONED) !== 0) break;
        this.haveRoutesChanged = true;
        break;
      }
      default:
        this.haveRoutesChanged = true; // rules and next hops
    }
  }

  private takeLink(link: rt.LinkInfo | null, isGone: boolean): void {
    if (link === null) return;
    if (isGone) {
      if (!this.links.delete(link.index)) return;
    } else {
      // Statistics and much else make notifications too.
      const known = this.links.get(link.index);
      if (known !== undefined && isSameLink(known, link)) return;
      this.links.set(link.index, link);
    }
    // Routes through a link that goes down vanish without a word.
    this.haveRoutesChanged = true;
    this.sink?.linkChanged(link.index, isGone ? null : link);
  }

  private takeAddress(address: rt.AddressInfo | null, isGone: boolean): void {
    if (address === null) return;
    const key = addressKey(address);
    if (isGone) this.byAddress.delete(key);
    else {
      const known = this.byAddress.get(key);
      if (known !== undefined && known.flags === address.flags) return; // lifetimes only
      this.byAddress.set(key, address);
    }
    this.haveAddressesChanged = true;
    this.haveRoutesChanged = true;
  }

  private takeNeighbour(neighbour: rt.NeighbourInfo | null, isGone: boolean): void {
    if (neighbour === null) return;
    const key = keyOf(neighbour.linkIndex, neighbour.address);
    if (isGone) this.neighbours.delete(key);
    else this.neighbours.set(key, neighbour);
    this.sink?.neighbourChanged(isGone ? { ...neighbour, state: 0 } : neighbour);
  }

  private readAll(): void {
    const links = new Map<number, rt.LinkInfo>();
    this.dump(rt.Rtm.GET_LINK, links, (m) => {
      const link = rt.parseLink(m.bytes, m.at, m.payloadEnd);
      if (link !== null) links.set(link.index, link);
    });
    const addresses = new Map<string, rt.AddressInfo>();
    this.dump(rt.Rtm.GET_ADDRESS, addresses, (m) => {
      const address = rt.parseAddress(m.bytes, m.at, m.payloadEnd);
      if (address !== null) addresses.set(addressKey(address), address);
    });
    const neighbours = new Map<string, rt.NeighbourInfo>();
    this.dump(rt.Rtm.GET_NEIGHBOUR, neighbours, (m) => {
      const n = rt.parseNeighbour(m.bytes, m.at, m.payloadEnd);
      if (n !== null) neighbours.set(keyOf(n.linkIndex, n.address), n);
    });
    this.links = links;
    this.byAddress = addresses;
    this.neighbours = neighbours;
  }

  private dump(type: number, into: Map<unknown, unknown>, visit: (m: MessageReader) => void): void {
    this.questions.dump(
      this.writer.bytes,
      (seq) => rt.writeDump(this.writer, type, 0, seq),
      () => into.clear(),
      visit,
    );
  }

  /** Notifications were lost: reads everything and tells of what differs. */
  private resync(): void {
    this.resyncs++;
    const { links, neighbours } = this;
    try {
      this.readAll();
    } catch (error) {
      if (error instanceof NetError) return; // the next poll tries again
      throw error;
    }
    this.wasOverrun = false;
    for (const index of links.keys()) {
      if (!this.links.has(index)) this.sink?.linkChanged(index, null);
    }
    for (const [index, link] of this.links) {
      const known = links.get(index);
      if (known === undefined || !isSameLink(known, link)) this.sink?.linkChanged(index, link);
    }
    for (const [key, n] of neighbours) {
      if (!this.neighbours.has(key)) this.sink?.neighbourChanged({ ...n, state: 0 });
    }
    for (const n of this.neighbours.values()) this.sink?.neighbourChanged(n);
    this.haveAddressesChanged = true;
    this.haveRoutesChanged = true;
  }

  close(): void {
    this.sink = null;
    this.questions.close();
    this.news.close();
  }
}

const keyOf = (linkIndex: number, a: IpAddress): string =>
  `${linkIndex}:${a.w0},${a.w1},${a.w2},${a.w3}`;

const addressKey = (a: rt.AddressInfo): string =>
  `${keyOf(a.linkIndex, a.address)}/${a.prefixBits}`;

function isSameLink(a: rt.LinkInfo, b: rt.LinkInfo): boolean {
  const flags = rt.LinkFlags.UP | rt.LinkFlags.RUNNING | rt.LinkFlags.LOWER_UP;
  return (
    a.name === b.name &&
    a.mtuBytes === b.mtuBytes &&
    ((a.flags ^ b.flags) & flags) === 0 &&
    a.mac.length === b.mac.length &&
    a.mac.every((byte, i) => byte === b.mac[i])
  );
}
