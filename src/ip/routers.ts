/**
 * What routers say to an IPv6 host: advertisements (default routes, prefixes, MTU, hop limit; RFC
 * 4861 §6.3, RFC 4862 §5.5) and redirects (RFC 4861 §8.3). Also asks for them at start (§6.3.7).
 *
 * Not here: RDNSS, route information (RFC 4191), stable privacy addresses (RFC 7217): the interface
 * identifier is the modified EUI-64.
 */
import { IpAddress } from "../base/ip-address.js";
import { NEVER, US_PER_MS, US_PER_S } from "../base/time.js";
import { NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipv6 from "../wire/ipv6.js";
import * as wire from "../wire/nd.js";
import { AddressOrigin, type Interface } from "./interface.js";
import { addAddress } from "./interface-address.js";
import type { Ip } from "./ip.js";
import { ALL_ROUTERS } from "./nd.js";
import type { Neighbour } from "./neighbour.js";
import { Heard } from "./neighbours.js";
import type { PacketInfo } from "./packet-info.js";
import { samePrefix } from "./prefix.js";
import { type Route, RouteOrigin } from "./routes.js";
import { SendOptions } from "./send-options.js";

/** RFC 4861 §10. */
const SOLICITATIONS = 3;
const SOLICITATION_INTERVAL_US = 4 * US_PER_S;
const REDIRECT_LIFETIME_US = 600 * US_PER_S;
/** Metric of routes that routers made (Linux's). */
const ROUTER_METRIC = 1024;
const INFINITE_SEC = 0xffff_ffff;
/** RFC 4862 §5.5.3 (e): nobody may shorten a lifetime below this from outside. */
const TWO_HOURS_US = 7200 * US_PER_S;
const MAX_AUTO_ADDRESSES = 16;
/** Default routers that are followed, and prefixes on the link; more are a mistake, or a flood. */
export const MAX_ROUTERS = 16;
/** Destinations with a redirect; a further one takes the place of the oldest. */
export const MAX_REDIRECTS = 256;

const MAX_REACHABLE_MS = 3_600_000;
/** Shorter times would have neighbours solicited without a pause. */
const MIN_RETRANS_MS = 10;

interface Solicitation {
  readonly iface: Interface;
  left: number;
  atUs: number;
}

export class Routers {
  private readonly ip: Ip;
  private readonly options = new SendOptions();
  private solicitations: Solicitation[] = [];
  private soonestUs = NEVER;

  constructor(ip: Ip) {
    this.ip = ip;
    this.options.ttl = wire.HOP_LIMIT;
    this.options.multicastLoop = false;
  }

  /** Asks routers to advertise, up to three times until one does. */
  solicit(iface: Interface): void {
    this.solicitations.push({ iface, left: SOLICITATIONS, atUs: this.ip.nowUs });
    this.remind(this.ip.nowUs);
  }

  private sendSolicitation(iface: Interface): void {
    const path = this.ip.resolve(ALL_ROUTERS, null, iface.index);
    const slot = path === null ? NO_SLOT : this.ip.nd.takePacket();
    if (path === null || slot === NO_SLOT) return;
    const { pool } = this.ip;
    pool.end[slot] = wire.writeRouterSolicitation(pool.bytes, pool.at[slot]!, iface.mac);
    this.ip.icmp6.finishAndSend(slot, path, this.options);
  }

  /** RFC 4861 §6.3.4. */
  takeAdvertisement(iface: Interface, info: PacketInfo): Drop {
    if (!iface.acceptsRouters) return Drop.ICMP6_IGNORED;
    const b = this.ip.bytes;
    const at = info.l4At;
    this.solicitations = this.solicitations.filter((s) => s.iface !== iface);
    const router = info.src.copy();
    const mac = wire.linkAddressAt(b, at, info.end, wire.OPTION_SOURCE_LINK_ADDRESS);
    if (mac >= 0) {
      const high = ethernet.high(b, mac);
      const n = this.ip.neighbours.heard(iface, router, high, ethernet.low(b, mac), Heard.SPOKE);
      if (n !== null) n.isRouter = true;
    }
    const hops = wire.routerHopLimit(b, at);
    if (hops !== 0) iface.hopLimit = hops;
    this.takeTimes(iface, wire.reachableTimeMs(b, at), wire.retransTimerMs(b, at));
    const mtu = wire.option(b, at, info.end, wire.OPTION_MTU);
    if (mtu >= 0) this.takeMtu(iface, wire.mtuBytes(b, mtu));
    this.takeDefault(iface, router, wire.routerLifetimeSec(b, at));
    let o = wire.option(b, at, info.end, wire.OPTION_PREFIX);
    while (o >= 0) {
      this.takePrefix(iface, o);
      o = wire.findOption(b, o + wire.optionBytes(b, o), info.end, wire.OPTION_PREFIX);
    }
    return Drop.NONE;
  }

  /** RFC 4861 §6.3.4; 0 is unsaid. More than an hour is none of a router's business (§6.2.1). */
  private takeTimes(iface: Interface, reachableMs: number, retransMs: number): void {
    if (reachableMs > 0 && reachableMs <= MAX_REACHABLE_MS) {
      const percent = 50 + this.ip.random.below(101);
      iface.reachableTimeUs = Math.ceil((reachableMs * US_PER_MS * percent) / 100);
    }
    if (retransMs >= MIN_RETRANS_MS) {
      iface.retransTimerUs = Math.min(retransMs, MAX_REACHABLE_MS) * US_PER_MS;
    }
  }

  /** A neighbour says that it is no router: it is no default router any more (RFC 4861 §7.2.5). */
  forget(n: Neighbour): void {
    const isGone = (r: Route): boolean =>
      r.origin === RouteOrigin.ROUTER &&
      r.iface === n.iface &&
      (r.gateway?.equals(n.address) ?? false);
    if (this.ip.routes.remove(isGone) > 0) this.ip.invalidatePaths();
  }

  /** Whether another default router, or another prefix on the link, is followed on an interface. */
  private hasRoomFor(iface: Interface, isDefault: boolean): boolean {
    let n = 0;
    for (const r of this.ip.routes) {
      const isSameKind = r.origin === RouteOrigin.ROUTER && (r.gateway !== null) === isDefault;
      if (isSameKind && r.iface === iface) n++;
    }
    return n < MAX_ROUTERS;
  }

  private takeMtu(iface: Interface, mtuBytes: number): void {
    if (mtuBytes < ipv6.MIN_MTU_BYTES || mtuBytes > iface.mtuBytes) return;
    if (iface.mtu6Bytes === mtuBytes) return;
    iface.mtu6Bytes = mtuBytes;
    this.ip.invalidatePaths();
  }

  private takeDefault(iface: Interface, router: IpAddress, lifetimeSec: number): void {
    const isSame = (r: Route): boolean =>
      r.origin === RouteOrigin.ROUTER &&
      r.iface === iface &&
      r.bits === 0 &&
      (r.gateway?.equals(router) ?? false);
    const expiresAtUs = this.ip.nowUs + lifetimeSec * US_PER_S;
    for (const known of this.ip.routes) {
      if (!isSame(known) || lifetimeSec === 0) continue;
      known.expiresAtUs = expiresAtUs;
      this.remind(expiresAtUs);
      return;
    }
    if (lifetimeSec === 0) {
      if (this.ip.routes.remove(isSame) > 0) this.ip.invalidatePaths();
      return;
    }
    if (!this.hasRoomFor(iface, true)) return;
    this.addRoute(iface, new IpAddress(), 0, router, RouteOrigin.ROUTER, expiresAtUs);
  }

  private addRoute(
    iface: Interface,
    destination: IpAddress,
    bits: number,
    gateway: IpAddress | null,
    origin: number,
    expiresAtUs: number,
  ): void {
    const metric = origin === RouteOrigin.REDIRECT ? 0 : ROUTER_METRIC;
    const src = null;
    this.ip.routes.add({ destination, bits, iface, gateway, metric, src, origin, expiresAtUs });
    this.ip.invalidatePaths();
    this.remind(expiresAtUs);
  }

  /** The prefix option at `o`: a route when on-link, an address when autonomous. */
  private takePrefix(iface: Interface, o: number): void {
    const b = this.ip.bytes;
    const bits = wire.prefixBits(b, o);
    const prefix = new IpAddress();
    prefix.read6(b, o + wire.PREFIX_ADDRESS);
    if (bits > 128 || prefix.isLinkLocal || prefix.isMulticast) return;
    const validUs = lifetimeUs(wire.prefixValidSec(b, o));
    const preferredUs = lifetimeUs(wire.prefixPreferredSec(b, o));
    if (preferredUs > validUs) return;
    const flags = wire.prefixFlags(b, o);
    if ((flags & wire.ON_LINK) !== 0) this.takeOnLink(iface, prefix, bits, validUs);
    if ((flags & wire.AUTONOMOUS) !== 0 && bits === 64) {
      this.takeAutonomous(iface, prefix, validUs, preferredUs);
    }
  }

  private takeOnLink(iface: Interface, prefix: IpAddress, bits: number, validUs: number): void {
    const isSame = (r: Route): boolean =>
      r.origin === RouteOrigin.ROUTER &&
      r.iface === iface &&
      r.bits === bits &&
      r.gateway === null &&
      samePrefix(r.destination, prefix, bits);
    const expiresAtUs = validUs >= NEVER ? NEVER : this.ip.nowUs + validUs;
    for (const known of this.ip.routes) {
      if (!isSame(known) || validUs === 0) continue;
      known.expiresAtUs = expiresAtUs;
      this.remind(expiresAtUs);
      return;
    }
    if (validUs > 0) {
      if (!this.hasRoomFor(iface, false)) return;
      this.addRoute(iface, prefix, bits, null, RouteOrigin.ROUTER, expiresAtUs);
    } else if (this.ip.routes.remove(isSame) > 0) this.ip.invalidatePaths();
  }

  /** RFC 4862 §5.5.3 (d) and (e). */
  private takeAutonomous(
    iface: Interface,
    prefix: IpAddress,
    validUs: number,
    preferredUs: number,
  ): void {
    const nowUs = this.ip.nowUs;
    const address = withEui64(prefix, iface.mac);
    const known = iface.addresses.find((a) => a.address.equals(address));
    const preferredUntilUs = until(nowUs, preferredUs);
    if (known === undefined) {
      const autos = iface.addresses.filter((a) => a.origin === AddressOrigin.AUTOCONFIGURED);
      if (validUs === 0 || autos.length >= MAX_AUTO_ADDRESSES) return;
      const validUntilUs = until(nowUs, validUs);
      const life = { origin: AddressOrigin.AUTOCONFIGURED, preferredUntilUs, validUntilUs };
      addAddress(this.ip, iface, { address, bits: 64, life });
    } else if (known.origin === AddressOrigin.AUTOCONFIGURED) {
      const leftUs = known.validUntilUs - nowUs;
      if (validUs > TWO_HOURS_US || validUs > leftUs) known.validUntilUs = until(nowUs, validUs);
      else if (leftUs > TWO_HOURS_US) known.validUntilUs = nowUs + TWO_HOURS_US;
      known.preferredUntilUs = preferredUntilUs;
      known.isDeprecated = preferredUs === 0;
    }
    this.remind(until(nowUs, Math.min(validUs, preferredUs)));
  }

  /** RFC 4861 §8.1 and §8.3: only from the router that the destination goes through now. */
  takeRedirect(iface: Interface, info: PacketInfo): Drop {
    if (!iface.acceptsRouters) return Drop.ICMP6_IGNORED;
    const b = this.ip.bytes;
    const at = info.l4At;
    const target = new IpAddress();
    const destination = new IpAddress();
    target.read6(b, at + wire.TARGET);
    destination.read6(b, at + wire.REDIRECT_DESTINATION);
    const route = this.ip.routes.find(destination, iface.index, () => true);
    if (route === null || route.gateway === null || !route.gateway.equals(info.src)) {
      return Drop.ICMP6_IGNORED;
    }
    const mac = wire.linkAddressAt(b, at, info.end, wire.OPTION_TARGET_LINK_ADDRESS);
    if (mac >= 0) {
      const high = ethernet.high(b, mac);
      this.ip.neighbours.heard(iface, target, high, ethernet.low(b, mac), Heard.SPOKE);
    }
    const isOnLink = target.equals(destination);
    const untilUs = this.ip.nowUs + REDIRECT_LIFETIME_US;
    const origin = RouteOrigin.REDIRECT;
    this.dropRedirects(destination);
    this.addRoute(iface, destination, 128, isOnLink ? null : target, origin, untilUs);
    return Drop.NONE;
  }

  /** Removes the redirect of a destination, and the oldest when there are too many. */
  private dropRedirects(destination: IpAddress): void {
    let oldest: Route | null = null;
    let n = 0;
    for (const r of this.ip.routes) {
      if (r.origin !== RouteOrigin.REDIRECT || r.destination.equals(destination)) continue;
      n++;
      if (oldest === null || r.expiresAtUs < oldest.expiresAtUs) oldest = r;
    }
    const isFull = n >= MAX_REDIRECTS;
    this.ip.routes.remove(
      (r) =>
        (isFull && r === oldest) ||
        (r.origin === RouteOrigin.REDIRECT && r.destination.equals(destination)),
    );
  }

  private remind(atUs: number): void {
    this.soonestUs = Math.min(this.soonestUs, atUs);
    this.ip.deadline.lower(atUs);
  }

  nextDeadlineUs(): number {
    return this.soonestUs;
  }

  runTimers(nowUs: number): void {
    if (nowUs < this.soonestUs) return;
    this.soonestUs = NEVER;
    for (const s of this.solicitations) {
      if (s.atUs <= nowUs) {
        this.sendSolicitation(s.iface);
        s.left--;
        s.atUs = nowUs + SOLICITATION_INTERVAL_US;
      }
      if (s.left > 0) this.remind(s.atUs);
    }
    this.solicitations = this.solicitations.filter((s) => s.left > 0);
    if (this.ip.routes.remove((r) => r.expiresAtUs <= nowUs) > 0) this.ip.invalidatePaths();
    for (const route of this.ip.routes) this.remind(route.expiresAtUs);
    this.expireAddresses(nowUs);
  }

  private expireAddresses(nowUs: number): void {
    for (const [a, iface] of [...this.ip.addresses.all()]) {
      if (a.validUntilUs <= nowUs) {
        this.ip.removeAddress(iface, a.address);
        continue;
      }
      this.remind(a.validUntilUs);
      if (a.preferredUntilUs > nowUs) this.remind(a.preferredUntilUs);
      else if (!a.isDeprecated) {
        a.isDeprecated = true;
        this.ip.addressesChanged();
      }
    }
  }
}

const lifetimeUs = (seconds: number): number =>
  seconds === INFINITE_SEC ? NEVER : seconds * US_PER_S;

const until = (nowUs: number, durationUs: number): number =>
  durationUs >= NEVER ? NEVER : nowUs + durationUs;

/** The address of a 64-bit prefix and a MAC address's modified EUI-64 (RFC 4291 appendix A). */
export function withEui64(prefix: IpAddress, mac: Uint8Array): IpAddress {
  const word2 = ((mac[0]! ^ 2) << 24) | (mac[1]! << 16) | (mac[2]! << 8) | 0xff;
  const word3 = (0xfe << 24) | (mac[3]! << 16) | (mac[4]! << 8) | mac[5]!;
  return new IpAddress(prefix.w0, prefix.w1, word2, word3);
}
