/**
 * What an engine's interfaces are asked to be and cannot, as far as it is known without opening them. The rest
 * (interfaces that are not there, MTUs that a device has not) is said when they are opened.
 */
import { IpAddress } from "../base/ip-address.js";
import { whyNoHost } from "../ip/host-address.js";
import { fullBits, maskTo, type Prefix, samePrefix, tryParsePrefix } from "../ip/prefix.js";
import { splitProgram } from "../nic/program-settings.js";
import { checkSpecification } from "../socket/open-device.js";
import { type NicConfig, specificationOf } from "./nic-config.js";

/** IPv6's least (RFC 8200 §5). */
const LEAST_MTU6_BYTES = 1_280;

export interface NicMistake {
  /** Which interface, from 0. */
  readonly i: number;
  /** `nic`, `addresses[1]`, `routes[0].via`. */
  readonly member: string;
  readonly text: string;
}

/** Every mistake; none: all may be well. */
export function mistakesOf(nics: readonly NicConfig[]): NicMistake[] {
  const check = new Check(nics);
  for (const [i, nic] of nics.entries()) check.take(nic, i);
  return check.mistakes;
}

class Check {
  readonly mistakes: NicMistake[] = [];
  /** What was said before, and where. */
  private readonly devices = new Map<string, string>();
  private readonly addresses = new Map<string, string>();
  /** Networks of all interfaces, by which gateways are reached. */
  private readonly networks: readonly Prefix[];
  /** One has the kernel's addresses, which nobody knows yet. */
  private readonly hasUnknown: boolean;
  private i = 0;

  constructor(nics: readonly NicConfig[]) {
    this.networks = nics.flatMap(({ addresses }) => addresses.map(tryParsePrefix)).filter(isThere);
    this.hasUnknown = nics.some(isShared);
  }

  take(nic: NicConfig, i: number): void {
    this.i = i;
    this.takeDevice(nic);
    if (isShared(nic)) this.takeShared(nic);
    else this.takeAddresses(nic);
    if (nic.gateway !== null) this.takeGateway("gateway", nic.gateway);
    for (const [at, { to, via }] of nic.routes.entries()) {
      this.takeDestination(`routes[${at}].to`, to);
      this.takeGateway(`routes[${at}].via`, via);
    }
  }

  private refuse(member: string, text: string): void {
    this.mistakes.push({ i: this.i, member, text });
  }

  private takeDevice(nic: NicConfig): void {
    let member = nic.nic.includes(",xdp=") ? "nic" : "xdp";
    try {
      const { device } = splitProgram(specificationOf(nic));
      member = "nic";
      checkSpecification(device);
      const mayRepeat = device.startsWith("pcap:") || device.includes("%"); // a new one each time
      if (!mayRepeat) this.takeOnce(this.devices, deviceKey(device), "nic", "interface");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.refuse(member, error.message);
    }
  }

  private takeOnce(seen: Map<string, string>, key: string, member: string, what: string): void {
    const before = seen.get(key);
    if (before === undefined) seen.set(key, `nics[${this.i}].${member}`);
    else this.refuse(member, `expected each ${what} once; ${key} is ${before} already`);
  }

  private takeShared({ nic, addresses, mtuBytes }: NicConfig): void {
    const [name = ""] = nic.replace(/^xdp:/, "").split(",");
    const shared = `${name} is shared with the kernel:`;
    if (addresses.length > 0) {
      const text = `its addresses are the kernel's (ip address add … dev ${name}); expected no addresses here`;
      this.refuse("addresses", `${shared} ${text}`);
    }
    if (mtuBytes === null) return;
    const text = `its MTU is the kernel's (ip link set ${name} mtu ${mtuBytes}); expected none here`;
    this.refuse("mtuBytes", `${shared} ${text}`);
  }

  private takeAddresses({ addresses, mtuBytes }: NicConfig): void {
    for (const [at, text] of addresses.entries()) {
      const prefix = tryParsePrefix(text);
      if (prefix === null) continue; // the schema says so
      const { address } = prefix;
      const member = `addresses[${at}]`;
      this.takeOnce(this.addresses, String(address), member, "address");
      if (!address.isV4 && mtuBytes !== null && mtuBytes < LEAST_MTU6_BYTES) {
        const needs = `IPv6 needs an MTU of ${LEAST_MTU6_BYTES}, and mtuBytes is ${mtuBytes}`;
        this.refuse(member, `expected no IPv6 address: ${needs}; got ${text}`);
      }
    }
  }

  private takeDestination(member: string, text: string): void {
    const prefix = tryParsePrefix(text);
    if (prefix === null) return;
    const network = new IpAddress();
    maskTo(prefix.address, fullBits(prefix), network);
    if (network.equals(prefix.address)) return;
    this.refuse(
      member,
      `expected a network like ${network}/${prefix.bits}; got ${text}, an address in it`,
    );
  }

  private takeGateway(member: string, text: string): void {
    const address = IpAddress.tryParse(text);
    if (address === null) return;
    const refuse = (why: string): void =>
      this.refuse(member, `expected a router's address; got ${text}, ${why}`);
    const network = this.networkOf(address);
    const why = whyNoHost(address, network?.bits ?? -1);
    if (why !== "") refuse(why);
    else if (this.networks.some((own) => own.address.equals(address))) refuse("Millrace's own");
    else if (network === undefined && !this.hasUnknown && !isLinkLocal6(address)) {
      const has = this.networks.map(({ address: own, bits }) => `${own}/${bits}`);
      const ones = has.length === 0 ? "there is none" : has.join(", ");
      this.refuse(
        member,
        `gateway ${text}: expected one on the network of one of the addresses (${ones})`,
      );
    }
  }

  private networkOf(address: IpAddress): Prefix | undefined {
    return this.networks.find(
      (own) => own.address.isV4 === address.isV4 && samePrefix(own.address, address, fullBits(own)),
    );
  }
}

/** Every interface has such a network. */
const isLinkLocal6 = (address: IpAddress): boolean => !address.isV4 && address.isLinkLocal;

const isThere = <T>(value: T | null): value is T => value !== null;

const isShared = (nic: NicConfig): boolean =>
  /^xdp:[^,]*(,.*)?,shared(,|$)/s.test(specificationOf(nic));

/** What two devices cannot both have: the interface and the queue, or the socket and the number at it. */
function deviceKey(device: string): string {
  const [name = "", ...settings] = device.replace(/^tap:|server:/, "").split(",");
  const told = settings.filter((one) => /^(queue|id)=(?!0+$)/.test(one));
  return [name, ...told].join(",");
}
