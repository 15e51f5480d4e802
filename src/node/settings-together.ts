/** What makes no sense of settings that each do for themselves. */
import { IpAddress } from "../base/ip-address.js";
import { tryParsePrefix } from "../ip/prefix.js";
import { type NodeSettings, nameOf } from "./settings.js";

/** Throws `TypeError` that names the setting. */
export function checkTogether({ nic, addresses = [], gateways = [] }: NodeSettings): void {
  const own = addresses.map((text) => String(tryParsePrefix(text)!.address));
  const twice = own.find((address, i) => own.indexOf(address) !== i);
  if (twice !== undefined) refuse("addresses", "each address once", `${twice} twice`);
  const routers = gateways.map((text) => IpAddress.tryParse(text)!);
  for (const isV4 of [true, false]) {
    const ofFamily = routers.filter((router) => router.isV4 === isV4);
    if (ofFamily.length > 1) refuse("gateways", "one a family", ofFamily.join(" and "));
  }
  const self = routers.find((router) => own.includes(String(router)));
  if (self !== undefined) refuse("gateways", "another host", `Millrace's own address ${self}`);
  if (nic !== undefined && own.length === 0 && !isShared(nic)) {
    refuse("addresses", `addresses for ${nic}, which has none of the kernel's`, "none");
  }
}

const isShared = (nic: string): boolean => /^xdp:[^,]*(,.*)?,shared(,|$)/s.test(nic);

function refuse(key: keyof NodeSettings, expected: string, got: string): never {
  throw new TypeError(`${nameOf(key)}: expected ${expected}, got ${got}`);
}
