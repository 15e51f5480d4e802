/**
 * The network that an engine's programs are on: one stack, its interfaces, the programs' own
 * addresses, and whether Millrace can serve a socket at all.
 *
 * Without a device it is host-local: programs of this host talk to each other and to nobody else.
 */
import { EADDRNOTAVAIL, EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { IpAddress } from "../base/ip-address.js";
import type { Home } from "../ip/home.js";
import type { Interface } from "../ip/interface.js";
import { fullBits, maskTo, samePrefix } from "../ip/prefix.js";
import type { Device } from "../nic/device.js";
import type { Pool } from "../ring/pool.js";
import { attachKernel } from "../socket/shared-tcp.js";
import { Stack } from "../socket/stack.js";
import type { RouteConfig } from "./config.js";
import { InternalDevice } from "./internal-device.js";

/** An interface of the network. */
export interface NetworkNic {
  readonly device: Device;
  /** With prefix lengths; none for interfaces that are shared with the kernel. */
  readonly addresses: readonly string[];
  readonly gateway: string | null;
  readonly routes: readonly RouteConfig[];
  readonly mtuBytes: number | null;
}

export interface NetworkOptions {
  readonly pool: Pool;
  readonly nowUs: number;
  /** None: the host-local network. Their devices are taken. */
  readonly nics: readonly NetworkNic[];
  /** The machine's address on the host-local network: `10.77.0.1/16`. */
  readonly network: string;
  readonly maxConnections?: number;
}

/** The machine's IPv6 address on the host-local network, unless that is IPv6 itself. */
const LOCAL_ADDRESS6 = "fd77::1/64";

interface OwnAddress {
  readonly home: Home;
  users: number;
  /** What was added for it and goes with its last user. */
  readonly added: readonly IpAddress[];
  readonly iface: Interface;
}

export class Network {
  readonly stack: Stack;
  /** The interface that programs' own addresses are added to. */
  readonly iface: Interface;
  /** What sessions without an address of their own mean by a wildcard; null: everything. */
  readonly sharedHome: Home | null;
  private readonly own = new Map<string, OwnAddress>();

  /** Takes the devices. Throws `NetError` EINVAL for addresses and routes that make no sense. */
  constructor(options: NetworkOptions) {
    const { pool, nowUs, nics, network, maxConnections } = options;
    this.stack = new Stack({
      pool,
      nowUs,
      ...(maxConnections === undefined ? {} : { maxConnections }),
    });
    try {
      const added = nics.map((nic) => this.addNic(nic));
      this.iface = added[0] ?? this.addInternal(network);
      for (const nic of nics) this.addRoutes(nic);
    } catch (error) {
      this.stack.close();
      for (const { device } of nics) device.close();
      throw error;
    }
    this.sharedHome = nics.length === 0 ? this.homeOfInterface() : null;
  }

  private addInternal(network: string): Interface {
    const internal = new InternalDevice(this.stack.pool);
    const iface = this.stack.ip.addInterface(internal, { linkLocal: false });
    const second = network.includes(":") ? [] : [LOCAL_ADDRESS6];
    return this.withAddresses(iface, [network, ...second]);
  }

  private addNic(nic: NetworkNic): Interface {
    const { device, addresses, mtuBytes } = nic;
    const { ip } = this.stack;
    if (device.filter === undefined) {
      const iface = ip.addInterface(device, mtuBytes === null ? {} : { mtuBytes });
      return this.withAddresses(iface, addresses);
    }
    if (addresses.length > 0) {
      throw invalid(
        `${device.name} is shared with the kernel: its addresses are the kernel's (ip address add … dev ${device.name}); expected no addresses here`,
      );
    }
    const kernel = ip.kernel ?? attachKernel(this.stack);
    return kernel.addInterface(device, {});
  }

  private withAddresses(iface: Interface, addresses: readonly string[]): Interface {
    for (const text of addresses) {
      if (!/^[^/]+\/\d{1,3}$/.test(text)) {
        throw invalid(
          `expected an address with its prefix length such as 10.0.0.2/24, got ${text}`,
        );
      }
      try {
        this.stack.ip.addAddress(iface, text);
      } catch (cause) {
        throw invalid(cause instanceof Error ? cause.message : String(cause));
      }
    }
    return iface;
  }

  private addRoutes(nic: NetworkNic): void {
    const { gateway, routes } = nic;
    if (gateway !== null) this.addRoute(gateway.includes(":") ? "::/0" : "0.0.0.0/0", gateway);
    for (const { to, via } of routes) this.addRoute(to, via);
  }

  private addRoute(destination: string, gateway: string): void {
    let result: number;
    try {
      result = this.stack.ip.addRoute({ destination, gateway });
    } catch (cause) {
      throw invalid(cause instanceof Error ? cause.message : String(cause));
    }
    if (result >= 0) return;
    throw new NetError(result, {
      syscall: "engine",
      hint: `gateway ${gateway}: expected one on the network of one of the addresses`,
    });
  }

  /** The first addresses of the interface. */
  private homeOfInterface(): Home {
    const addresses = this.iface.addresses.map((a) => a.address);
    return {
      v4: addresses.find((a) => a.isV4)?.copy() ?? null,
      v6: addresses.find((a) => !a.isV4)?.copy() ?? null,
    };
  }

  // Programs' own addresses

  /**
   * The home of a session that asks for an address of its own ("" for none), for as long as it uses
   * it: `leaveHome` with the same text. Throws `NetError` EADDRNOTAVAIL.
   */
  enterHome(text: string): Home | null {
    if (text === "") return this.sharedHome;
    const known = this.own.get(text);
    if (known !== undefined) {
      known.users++;
      return known.home;
    }
    const made = this.makeOwn(text);
    this.own.set(text, made);
    return made.home;
  }

  leaveHome(text: string): void {
    const own = this.own.get(text);
    if (own === undefined || --own.users > 0) return;
    this.own.delete(text);
    for (const address of own.added) this.stack.ip.removeAddress(own.iface, address);
  }

  private makeOwn(text: string): OwnAddress {
    const address = IpAddress.tryParse(text);
    if (address === null) throw refused(text, "expected an IPv4 or IPv6 address");
    const { sharedHome } = this;
    if (sharedHome?.v4?.equals(address) || sharedHome?.v6?.equals(address)) {
      return { home: sharedHome, users: 1, added: [], iface: this.iface };
    }
    const added = [this.add(address, text)];
    const twin = this.twinOf(address);
    if (twin !== null) added.push(twin);
    const home = {
      v4: added.find((a) => a.isV4)?.copy() ?? null,
      v6: added.find((a) => !a.isV4)?.copy() ?? null,
    };
    const owned = added.filter((a) => this.justAdded.has(a));
    this.justAdded.clear();
    return { home, users: 1, added: owned, iface: this.iface };
  }

  /** Addresses that {@link makeOwn} has put on the interface, as opposed to found there. */
  private readonly justAdded = new Set<IpAddress>();

  private add(address: IpAddress, text: string): IpAddress {
    const { ip } = this.stack;
    if (ip.mayBind(address)) return address;
    if (this.iface.kernelIndex !== 0) {
      throw refused(
        text,
        `the kernel has it on no interface; ip address add … dev ${this.iface.name}`,
      );
    }
    const net = this.iface.addresses.find((a) => samePrefix(a.address, address, fullBitsOf(a)));
    if (net === undefined || net.address.isV4 !== address.isV4) {
      const networks = this.iface.addresses.map((a) => `${a.address}/${a.prefixBits}`).join(", ");
      throw refused(text, `expected an address of ${networks || "an interface that has one"}`);
    }
    ip.addAddress(this.iface, `${address}/${net.prefixBits}`);
    this.justAdded.add(address);
    return address;
  }

  /** The IPv6 address that goes with an IPv4 one on the host-local network: the same host number. */
  private twinOf(address: IpAddress): IpAddress | null {
    if (this.sharedHome === null || !address.isV4) return null;
    const net = this.iface.addresses.find((a) => !a.address.isV4 && a.prefixBits <= 96);
    if (net === undefined) return null;
    const twin = new IpAddress();
    maskTo(net.address, net.prefixBits, twin);
    twin.w3 = address.w3 & 0xffff;
    return this.add(twin, twin.toString());
  }

  // Decisions

  /** Why Millrace cannot reach `peer`, or "". */
  whyUnreachable(peer: IpAddress, scope: number): string {
    const path = this.stack.ip.resolve(peer, null, scope);
    return path === null ? `no Millrace route to ${peer}` : "";
  }

  /** Whether an address is one that sockets of programs may be bound to. */
  mayBind(address: IpAddress): boolean {
    const { ip } = this.stack;
    if (address.isMulticast) return ip.resolve(address, null, 0) !== null;
    return ip.mayBind(address) || ip.isBroadcast(address);
  }
}

const fullBitsOf = (a: { address: IpAddress; prefixBits: number }): number =>
  fullBits({ address: a.address, bits: a.prefixBits });

const invalid = (hint: string): NetError => new NetError(EINVAL, { syscall: "engine", hint });
const refused = (address: string, hint: string): NetError =>
  new NetError(EADDRNOTAVAIL, { syscall: "address", address, hint });
