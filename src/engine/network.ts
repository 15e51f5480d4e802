/**
 * The network that an engine's programs are on: one stack, its interfaces, the programs' own
 * addresses, and whether Millrace can serve a socket at all.
 *
 * Beside the interfaces there is the host-local network, on which programs of this host talk to each
 * other and to nobody else, unless one of the interfaces has its addresses.
 */
import { EADDRNOTAVAIL, EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { IpAddress } from "../base/ip-address.js";
import { type Home, homeTowards } from "../ip/home.js";
import { whyNoHost } from "../ip/host-address.js";
import type { Interface } from "../ip/interface.js";
import { PathKind } from "../ip/path.js";
import { fullBits, maskTo, type Prefix, samePrefix, tryParsePrefix } from "../ip/prefix.js";
import { needsZone } from "../ip/zone.js";
import type { Device } from "../nic/device.js";
import type { Pool } from "../ring/pool.js";
import { attachKernel } from "../socket/shared-tcp.js";
import { Stack } from "../socket/stack.js";
import { FIRST_OWN_INDEX } from "./interface-list.js";
import { InternalDevice } from "./internal-device.js";
import type { NicConfig } from "./nic-config.js";
import type { ValuePlaces } from "./value-places.js";

/** An interface of the network: its device is open. */
export interface NetworkNic extends Omit<NicConfig, "nic" | "xdp" | "places"> {
  readonly device: Device;
  /** Where a file says all this: mistakes are told with that. */
  readonly places?: ValuePlaces | null;
}

export interface NetworkOptions {
  readonly pool: Pool;
  readonly nowUs: number;
  /** May be none. Their devices are taken. */
  readonly nics: readonly NetworkNic[];
  /** The machine's address on the host-local network: `10.77.0.1/16`. */
  readonly network: string;
  readonly maxConnections?: number;
}

/** The machine's IPv6 address on the host-local network, unless that is IPv6 itself. */
const LOCAL_ADDRESS6 = "fd77::1/64";

/**
 * Tables that grow by an eighth leave garbage eight times as large. Measured: 10,000 idle sockets, of which the engine had
 * 14 MB more than it needed.
 */
const RESERVED_CONNECTIONS = 65_536;

interface OwnAddress {
  readonly home: Home;
  users: number;
  /** What was added for it and goes with its last user. */
  readonly added: readonly OwnPlace[];
}

interface OwnPlace {
  readonly iface: Interface;
  readonly address: IpAddress;
}

export class Network {
  readonly stack: Stack;
  /** The first one. */
  readonly iface: Interface;
  /** The host-local network's, or null: one of the others has its addresses. */
  readonly internal: Interface | null;
  /** What programs without an address of their own mean by a wildcard. */
  readonly sharedHome: Home;
  /** By what programs have written; several may mean the same. */
  private readonly own = new Map<string, OwnAddress>();
  /** Addresses that are one program's alone. */
  private readonly others: IpAddress[] = [];
  /** Of an interface that is Millrace's alone. */
  private nextIndex = FIRST_OWN_INDEX;

  /**
   * Takes the devices. Throws `NetError` EINVAL for addresses and routes that make no sense, `PlacedError` if a
   * file says them.
   */
  constructor(options: NetworkOptions) {
    const { pool, nowUs, nics, network, maxConnections } = options;
    this.stack = new Stack({
      pool,
      nowUs,
      reservedConnections: RESERVED_CONNECTIONS,
      ...(maxConnections === undefined ? {} : { maxConnections }),
    });
    try {
      const added = nics.map((nic) => this.addNic(nic));
      this.internal = this.addInternal(network);
      this.iface = added[0] ?? this.internal!;
      for (const nic of nics) this.addRoutes(nic);
    } catch (error) {
      this.stack.close();
      for (const { device } of nics) device.close();
      throw error;
    }
    this.sharedHome = this.homeOfMachine();
  }

  private addInternal(network: string): Interface | null {
    const known = [...this.stack.ip.addresses.all()].map(([a]) => a.address);
    const isTaken = (text: string): boolean => {
      const { address, bits } = prefixOf(text);
      return known.some((a) => samePrefix(a, address, fullBits({ address, bits })));
    };
    if (isTaken(network)) return null;
    const internal = new InternalDevice(this.stack.pool);
    const iface = this.stack.ip.addInterface(internal, {
      index: this.nextIndex++,
      linkLocal: false,
    });
    const hasSecond = !network.includes(":") && !isTaken(LOCAL_ADDRESS6);
    return this.withAddresses(iface, [network, ...(hasSecond ? [LOCAL_ADDRESS6] : [])]);
  }

  private addNic(nic: NetworkNic): Interface {
    const { device, addresses, mtuBytes } = nic;
    const { ip } = this.stack;
    if (device.filter === undefined) {
      if (mtuBytes !== null && mtuBytes > device.mtuBytes) {
        const most = `expected at most ${device.mtuBytes}, the MTU of ${device.name}`;
        throw refusedAt(nic, "mtuBytes", invalid(`${most}; got ${mtuBytes}`));
      }
      const index = this.nextIndex++;
      const options = mtuBytes === null ? { index } : { index, mtuBytes };
      const iface = ip.addInterface(device, options);
      return this.withAddresses(iface, addresses, nic);
    }
    if (addresses.length > 0) {
      const text = `${device.name} is shared with the kernel: its addresses are the kernel's (ip address add … dev ${device.name}); expected no addresses here`;
      throw refusedAt(nic, "addresses", invalid(text));
    }
    const kernel = ip.kernel ?? attachKernel(this.stack);
    return kernel.addInterface(device, {});
  }

  private withAddresses(
    iface: Interface,
    addresses: readonly string[],
    nic: NetworkNic | null = null,
  ): Interface {
    for (const [i, text] of addresses.entries()) {
      const { address, bits } = prefixOf(text);
      const member = `addresses[${i}]`;
      const why = whyNoHost(address, bits);
      if (why !== "")
        throw refusedAt(nic, member, invalid(`expected a host's address, got ${text}, ${why}`));
      try {
        this.stack.ip.addAddress(iface, text);
      } catch (cause) {
        throw refusedAt(
          nic,
          member,
          invalid(cause instanceof Error ? cause.message : String(cause)),
        );
      }
    }
    return iface;
  }

  private addRoutes(nic: NetworkNic): void {
    const { gateway, routes } = nic;
    if (gateway !== null)
      this.addRoute(nic, "gateway", gateway.includes(":") ? "::/0" : "0.0.0.0/0", gateway);
    for (const [i, { to, via }] of routes.entries())
      this.addRoute(nic, `routes[${i}].via`, to, via);
  }

  private addRoute(nic: NetworkNic, member: string, destination: string, gateway: string): void {
    let result: number;
    try {
      result = this.stack.ip.addRoute({ destination, gateway });
    } catch (cause) {
      throw refusedAt(nic, member, invalid(cause instanceof Error ? cause.message : String(cause)));
    }
    if (result >= 0) return;
    const hint = `gateway ${gateway}: expected one on the network of one of the addresses`;
    throw refusedAt(nic, member, new NetError(result, { syscall: "engine", hint }));
  }

  /** Sends to programs with addresses of their own from the host-local network's. */
  private homeOfMachine(): Home {
    const addresses = (this.internal ?? this.iface).addresses.map((a) => a.address);
    return {
      v4: addresses.find((a) => a.isV4)?.copy() ?? null,
      v6: addresses.find((a) => !a.isV4)?.copy() ?? null,
      others: this.others,
    };
  }

  // Programs' own addresses

  /**
   * The home of a session that asks for an address of its own ("" for none), for as long as it uses
   * it: `leaveHome` with the same text. Throws `NetError` EADDRNOTAVAIL.
   */
  enterHome(text: string): Home {
    if (text === "") return this.sharedHome;
    const known = this.own.get(text);
    if (known !== undefined) {
      known.users++;
      return known.home;
    }
    const own = this.sameAs(text) ?? this.makeOwn(text);
    own.users++;
    this.own.set(text, own);
    return own.home;
  }

  /** What another program has as its own under another name: the address written otherwise, or its twin. */
  private sameAs(text: string): OwnAddress | null {
    const address = IpAddress.tryParse(text);
    if (address === null) return null;
    for (const own of this.own.values()) {
      if (own.home === this.sharedHome) continue;
      if (own.home.v4?.equals(address) || own.home.v6?.equals(address)) return own;
    }
    return null;
  }

  leaveHome(text: string): void {
    const own = this.own.get(text);
    if (own === undefined) return;
    own.users--;
    this.hasLeft = true;
  }

  /** Someone has left: {@link sweep} has something to look at. */
  hasLeft = false;

  /** Takes addresses away that no program has any more, and no socket: they still close connections. */
  sweep(isUsed: (home: Home) => boolean): void {
    this.hasLeft = false;
    for (const own of new Set(this.own.values())) {
      if (own.users > 0) continue;
      if (own.home !== this.sharedHome && isUsed(own.home)) this.hasLeft = true;
      else this.remove(own);
    }
  }

  private remove(own: OwnAddress): void {
    for (const [text, other] of this.own) if (other === own) this.own.delete(text);
    for (const address of [own.home.v4, own.home.v6]) {
      const at = this.others.findIndex((other) => address !== null && other.equals(address));
      if (at >= 0 && own.home !== this.sharedHome) this.others.splice(at, 1);
    }
    for (const { iface, address } of own.added) this.stack.ip.removeAddress(iface, address);
  }

  private makeOwn(text: string): OwnAddress {
    const address = IpAddress.tryParse(text);
    if (address === null) throw refused(text, "expected an IPv4 or IPv6 address");
    // The machine's own: `--nic tap0 --address …` names it to every program.
    if (this.isMachines(address)) return { home: this.sharedHome, users: 0, added: [] };
    const isBroadcast = this.stack.ip.isBroadcast(address);
    const why = isBroadcast ? "a broadcast address" : whyNoHost(address, -1);
    if (why !== "") throw unfit(text, why);
    const added: OwnPlace[] = [];
    this.add(address, text, added);
    const twin = this.twinOf(address);
    if (twin !== null) this.add(twin, text, added);
    const all = twin === null ? [address] : [address, twin];
    this.others.push(...all);
    const home = {
      v4: all.find((a) => a.isV4)?.copy() ?? null,
      v6: all.find((a) => !a.isV4)?.copy() ?? null,
    };
    return { home, users: 0, added };
  }

  /** Whether an interface of Millrace's alone was given this address for everybody. */
  private isMachines(address: IpAddress): boolean {
    const iface = this.stack.ip.interfaceOf(address);
    if (iface === null || iface.isLoopback || iface.kernelIndex !== 0) return false;
    return !this.others.some((other) => other.equals(address));
  }

  /** Puts an address on the interface on whose network it is, unless the host has it. */
  private add(address: IpAddress, text: string, added: OwnPlace[]): void {
    const { ip } = this.stack;
    if (ip.mayBind(address)) return;
    const networks = new Set<string>();
    for (const iface of ip.interfaces) {
      if (iface.isLoopback || iface.kernelIndex !== 0) continue;
      for (const a of iface.addresses) {
        const network = new IpAddress();
        maskTo(a.address, fullBitsOf(a), network);
        networks.add(`${network}/${a.prefixBits}`);
        if (a.address.isV4 !== address.isV4) continue;
        if (!samePrefix(a.address, address, fullBitsOf(a))) continue;
        const why = whyNoHost(address, a.prefixBits);
        if (why !== "") throw unfit(text, why); // of the first one: twins are made to be none of these
        try {
          ip.addAddress(iface, `${address}/${a.prefixBits}`);
        } catch (cause) {
          for (const one of added) ip.removeAddress(one.iface, one.address);
          throw refused(text, cause instanceof Error ? cause.message : String(cause));
        }
        added.push({ iface, address: address.copy() });
        return;
      }
    }
    const shared = ip.interfaces.find((iface) => iface.kernelIndex !== 0);
    const ofKernel = shared === undefined ? "" : `, or one of the kernel's ${shared.name}`;
    throw refused(text, `expected an address of ${[...networks].join(", ")}${ofKernel}`);
  }

  /** The IPv6 address that goes with an IPv4 one on the host-local network: the same host number. */
  private twinOf(address: IpAddress): IpAddress | null {
    const { internal } = this;
    if (internal === null || this.stack.ip.interfaceOf(address) !== internal) return null;
    const net = internal.addresses.find((a) => !a.address.isV4 && a.prefixBits <= 96);
    const hasNumber = (address.w3 & 0xffff) !== 0;
    if (net === undefined || !address.isV4 || !hasNumber) return null;
    const twin = new IpAddress();
    maskTo(net.address, net.prefixBits, twin);
    twin.w3 = address.w3 & 0xffff;
    return twin;
  }

  // Decisions

  /** Whether an interface is Millrace's and not the kernel's. */
  isOwn(ifIndex: number): boolean {
    const iface = this.stack.interfaceByIndex(ifIndex);
    return iface !== null && !iface.isLoopback && iface.kernelIndex === 0;
  }

  /** Whether `peer` is many: a group, or a broadcast address. */
  isMany(home: Home | null, peer: IpAddress, scope: number): boolean {
    const path = this.stack.ip.resolve(peer, homeTowards(home, peer), scope);
    return path?.kind === PathKind.BROADCAST || path?.kind === PathKind.MULTICAST;
  }

  /** Why sockets of this home cannot reach `peer` through Millrace, or "". */
  whyUnreachable(home: Home | null, peer: IpAddress, scope: number): string {
    if (scope !== 0 && needsZone(peer)) {
      const iface = this.stack.interfaceByIndex(scope);
      if (iface === null || iface.isLoopback) return `interface ${scope} is none of Millrace's`;
    }
    const from = homeTowards(home, peer);
    const path = this.stack.ip.resolve(peer, from, scope);
    if (path === null) return `no Millrace route to ${peer}`;
    // Nobody out there could answer.
    const isOnlyHere = from !== null && this.stack.ip.interfaceOf(from) === this.internal;
    if (path.kind === PathKind.UNICAST && isOnlyHere && path.iface !== this.internal) {
      return `${from} is on the network of this machine only`;
    }
    return "";
  }

  /** Whether an address is on the network among this machine's programs, which the kernel does not have. */
  isOnAmongPrograms(address: IpAddress): boolean {
    const { ip } = this.stack;
    if (this.internal === null || address.isMulticast || address.isUnspecified) return false;
    const iface = ip.interfaceOf(address) ?? ip.resolve(address, null, 0)?.iface;
    return iface === this.internal && !this.isKernels(address);
  }

  /** Whether the kernel, too, has this address of ours: its programs may be there. */
  isKernels(address: IpAddress): boolean {
    return this.stack.ip.kernel?.isKernels(address) ?? false;
  }

  /** Whether somebody under Millrace is there; at the wildcard: at a loopback address. */
  isThere(protocol: "tcp" | "udp", peer: IpAddress, port: number): boolean {
    const { ip, tcpPorts } = this.stack;
    if (protocol === "tcp") return tcpPorts.findListener(peer, port, ip.lo.index, 0) >= 0;
    return this.stack.udp.isBoundAt(peer, port);
  }

  /** The name of the interface that a socket with these addresses is at. */
  placeOf(own: IpAddress | null, peer: IpAddress | null, scope: number): string {
    const { ip } = this.stack;
    const local = own === null || own.isUnspecified ? null : own;
    const path = peer === null ? null : ip.resolve(peer, null, scope);
    if (path !== null && !path.iface.isLoopback) return path.iface.name;
    const at = local ?? (path === null ? null : peer);
    const iface = at === null ? this.iface : ip.interfaceOf(at);
    return (iface ?? this.iface).name;
  }

  /** Whether an address is one that sockets of programs may be bound to. */
  mayBind(address: IpAddress, scope: number): boolean {
    const { ip } = this.stack;
    if (address.isMulticast) return ip.resolve(address, null, scope) !== null;
    return ip.mayBind(address) || ip.isBroadcast(address);
  }
}

const fullBitsOf = (a: { address: IpAddress; prefixBits: number }): number =>
  fullBits({ address: a.address, bits: a.prefixBits });

/** `10.0.0.2/24`. Throws `NetError` EINVAL. */
function prefixOf(text: string): Prefix {
  const prefix = tryParsePrefix(text);
  if (prefix !== null) return prefix;
  throw invalid(`expected an address with its prefix length such as 10.0.0.2/24, got ${text}`);
}

/** What is wrong with an interface of a file is told with the place of the value there. */
const refusedAt = (nic: NetworkNic | null, member: string, error: NetError): Error =>
  nic?.places?.error(member, error.message) ?? error;

const invalid = (hint: string): NetError => new NetError(EINVAL, { syscall: "engine", hint });
const refused = (address: string, hint: string): NetError =>
  new NetError(EADDRNOTAVAIL, { syscall: "address", address, hint });
/** Whatever the networks are. */
const unfit = (address: string, why: string): NetError =>
  new NetError(EINVAL, { address, hint: `expected a host's address; it is ${why}` });
