/**
 * What a stack claims on the interfaces that it shares with the kernel: flows, ports and groups in
 * each interface's filter (`nic/flow-filter.ts`), and the same ports and groups held in the kernel
 * (`nic/kernel-ports.ts`). All or nothing: what one interface refuses is taken back on the others.
 *
 * An address that belongs to an interface of Millrace's own, or to loopback, concerns no shared
 * interface; there is nothing to claim then, and that is success.
 */
import { EADDRINUSE, ENOBUFS } from "../base/errno.js";
import { ANY4, type IpAddress } from "../base/ip-address.js";
import type { FlowFilter } from "../nic/flow-filter.js";
import type { HeldPort, KernelHolds, PortRequest } from "../nic/kernel-ports.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";

/** A shared interface. */
export interface SharedLink {
  readonly iface: Interface;
  /** The kernel's index of it. */
  readonly linkIndex: number;
  readonly filter: FlowFilter;
}

/** A local address and port, at any interface or (`ifIndex`, Millrace's) at one. */
export interface LocalEnd {
  readonly protocol: number;
  readonly address: IpAddress;
  readonly port: number;
  readonly ifIndex: number;
  /** Of `::`: not IPv4 too. */
  readonly isV6only: boolean;
}

/** A port held in the kernel at every interface that it concerns. */
export interface Hold {
  readonly port: number;
  readonly ports: readonly HeldPort[];
}

/** Ports that the kernel may choose before it is believed that all are taken. */
const MAX_CHOICES = 64;

export class Claims {
  readonly links: SharedLink[] = [];
  private readonly ip: Ip;
  private readonly holds: KernelHolds;

  constructor(ip: Ip, holds: KernelHolds) {
    this.ip = ip;
    this.holds = holds;
  }

  /** Whether a socket at this local address can get anything through a shared interface. */
  concerns(address: IpAddress, ifIndex: number): boolean {
    return this.links.some((link) => this.isConcerned(link, address, ifIndex));
  }

  private isConcerned(link: SharedLink, address: IpAddress, ifIndex: number): boolean {
    if (ifIndex !== 0) return link.iface.index === ifIndex;
    if (address.isUnspecified || address.isMulticast) return true;
    if (address.isLoopback) return false;
    // The weak host model: an address of the kernel's may be reached through any of its interfaces.
    const owner = this.ip.interfaceOf(address);
    return owner === null || owner.isLoopback || owner.kernelIndex !== 0;
  }

  // Filters

  /** 0, or -ENOBUFS when a filter has no room. */
  addFlow(
    protocol: number,
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
  ): number {
    return this.onLinks(
      local,
      0,
      (f) => f.addFlow(protocol, local, localPort, remote, remotePort),
      (f) => f.removeFlow(protocol, local, localPort, remote, remotePort),
    );
  }

  removeFlow(
    protocol: number,
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
  ): void {
    for (const link of this.links) {
      if (!this.isConcerned(link, local, 0)) continue;
      link.filter.removeFlow(protocol, local, localPort, remote, remotePort);
    }
  }

  /** 0, or -ENOBUFS. A dual-stack wildcard claims both families. */
  addPort(end: LocalEnd): number {
    const { protocol, address, port, ifIndex } = end;
    return this.onLinks(
      address,
      ifIndex,
      (f) => {
        const result = f.addPort(protocol, address, port);
        if (result < 0 || !isDual(end)) return result;
        const second = f.addPort(protocol, ANY4, port);
        if (second < 0) f.removePort(protocol, address, port);
        return second;
      },
      (f) => removePortFrom(f, end),
    );
  }

  removePort(end: LocalEnd): void {
    for (const link of this.links) {
      if (this.isConcerned(link, end.address, end.ifIndex)) removePortFrom(link.filter, end);
    }
  }

  private onLinks(
    local: IpAddress,
    ifIndex: number,
    add: (f: FlowFilter) => number,
    undo: (f: FlowFilter) => void,
  ): number {
    for (const [i, link] of this.links.entries()) {
      if (!this.isConcerned(link, local, ifIndex)) continue;
      if (add(link.filter) >= 0) continue;
      for (const done of this.links.slice(0, i)) {
        if (this.isConcerned(done, local, ifIndex)) undo(done.filter);
      }
      return this.refused();
    }
    return 0;
  }

  /** Counts a refusal: the program gets -ENOBUFS. */
  refused(): number {
    this.ip.count("claimsRefused");
    return -ENOBUFS;
  }

  // Ports in the kernel

  /**
   * Has the kernel hold a port at every interface that it concerns; port 0: one that the kernel
   * chooses and for which `isFree` holds. A negated error number: -EADDRINUSE, -EACCES, -EMFILE.
   */
  hold(request: PortRequest, ifIndex: number, isFree: (port: number) => boolean): Hold | number {
    if (request.isHeld === true && request.port !== 0) return { port: request.port, ports: [] };
    if (request.port !== 0) return this.holdAt(request, ifIndex);
    const links = this.links.filter((l) => this.isConcerned(l, request.address, ifIndex));
    const refused: HeldPort[] = [];
    let result: Hold | number = -EADDRINUSE;
    for (let i = 0; i < MAX_CHOICES; i++) {
      // Those that were no good stay held meanwhile, so that the kernel chooses others.
      const first = this.holds.holdPort(links[0]!.linkIndex, request);
      if (typeof first === "number") {
        result = first;
        break;
      }
      const rest = this.holdOn(links.slice(1), { ...request, port: first.port });
      if (typeof rest !== "number" && isFree(first.port)) {
        result = { port: first.port, ports: [first, ...rest] };
        break;
      }
      refused.push(first, ...(typeof rest === "number" ? [] : rest));
    }
    for (const port of refused) port.close();
    return result;
  }

  private holdAt(request: PortRequest, ifIndex: number): Hold | number {
    const links = this.links.filter((l) => this.isConcerned(l, request.address, ifIndex));
    const ports = this.holdOn(links, request);
    return typeof ports === "number" ? ports : { port: request.port, ports };
  }

  private holdOn(links: readonly SharedLink[], request: PortRequest): HeldPort[] | number {
    const ports: HeldPort[] = [];
    for (const link of links) {
      const held = this.holds.holdPort(link.linkIndex, request);
      if (typeof held !== "number") {
        ports.push(held);
        continue;
      }
      for (const port of ports) port.close();
      return held;
    }
    return ports;
  }

  /** The program listens at a held port: 0, or -EADDRINUSE. */
  listen(hold: Hold): number {
    for (const port of hold.ports) {
      const result = port.listen();
      if (result < 0) return result;
    }
    return 0;
  }

  /** It no longer listens, but keeps the port. */
  unlisten(hold: Hold): void {
    for (const port of hold.ports) port.unlisten();
  }

  release(hold: Hold): void {
    for (const port of hold.ports) port.close();
  }
}

const isDual = (end: LocalEnd): boolean =>
  !end.address.isV4 && end.address.isUnspecified && !end.isV6only;

function removePortFrom(f: FlowFilter, end: LocalEnd): void {
  f.removePort(end.protocol, end.address, end.port);
  if (isDual(end)) f.removePort(end.protocol, ANY4, end.port);
}
