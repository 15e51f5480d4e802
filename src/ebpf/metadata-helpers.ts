/**
 * The kernel's functions (kfuncs) that XDP programs have: what the NIC says of a packet
 * (Documentation/networking/xdp-rx-metadata.rst). They have names only; their numbers are ours, behind those of
 * the helpers, which get no new ones.
 */
import { EOPNOTSUPP } from "../base/errno.js";
import { EbpfError } from "./ebpf-error.js";
import { argument, type Helper, setResult } from "./helper.js";
import type { PacketMetadata } from "./runtime.js";

const KERNEL_FUNCTION = {
  result: "number",
  effect: "input",
  isKernelFunction: true,
} as const;

export const METADATA_HELPERS: readonly Helper[] = [
  {
    ...KERNEL_FUNCTION,
    number: 250,
    name: "xdp_metadata_rx_timestamp",
    arguments: ["context", "u64 to fill"],
    run(r) {
      const { metadata, view } = r;
      setResult(r, metadata.hasTime ? 0 : -EOPNOTSUPP);
      if (!metadata.hasTime) return;
      view.setInt32(argument(r, 2), metadata.timeLow, true);
      view.setInt32(argument(r, 2) + 4, metadata.timeHigh, true);
    },
  },
  {
    ...KERNEL_FUNCTION,
    number: 251,
    name: "xdp_metadata_rx_hash",
    arguments: ["context", "u32 to fill", "u32 to fill"],
    run(r) {
      const { metadata, view } = r;
      const [hashAt, typeAt] = [argument(r, 2), argument(r, 3)];
      setResult(r, metadata.hasHash ? 0 : -EOPNOTSUPP);
      if (!metadata.hasHash) return;
      view.setInt32(hashAt, metadata.hash, true);
      view.setInt32(typeAt, metadata.hashType, true);
    },
  },
  {
    ...KERNEL_FUNCTION,
    number: 252,
    name: "xdp_metadata_rx_vlan_tag",
    arguments: ["context", "u16 to fill", "u16 to fill"],
    run(r) {
      const { metadata, view } = r;
      const [protocolAt, tagAt] = [argument(r, 2), argument(r, 3)];
      setResult(r, metadata.hasTag ? 0 : -EOPNOTSUPP);
      if (!metadata.hasTag) return;
      view.setUint16(protocolAt, metadata.tagProtocol); // in network order
      view.setUint16(tagAt, metadata.tag, true);
    },
  },
];

const NAMES: ReadonlySet<string> = new Set(Object.keys(noMetadata()));

/** Puts what is said of a packet in place of what was said before. Throws `EbpfError` EINVAL for unknown names. */
export function takeMetadata(to: PacketMetadata, given: Partial<PacketMetadata> = {}): void {
  const unknown = Object.keys(given).find((name) => !NAMES.has(name));
  if (unknown !== undefined) {
    throw new EbpfError("EINVAL", `metadata has ${[...NAMES].join(", ")}, and no ${unknown}`);
  }
  Object.assign(to, noMetadata(), given);
}

/** What no NIC says anything of. */
export function noMetadata(): PacketMetadata {
  return {
    hasTime: false,
    timeLow: 0,
    timeHigh: 0,
    hasHash: false,
    hash: 0,
    hashType: 0,
    hasTag: false,
    tagProtocol: 0,
    tag: 0,
  };
}
