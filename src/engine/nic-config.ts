/** An interface of an engine as its configuration has it, from a file or from flags. */
import type { ValuePlaces } from "./value-places.js";

export interface RouteConfig {
  /** `10.9.0.0/16`. */
  readonly to: string;
  /** `10.0.0.9`. */
  readonly via: string;
}

export interface NicConfig {
  /** As `--nic` has it; config-file order is the stack's interface order. */
  readonly nic: string;
  /** With prefix lengths; empty for interfaces that the kernel shares. */
  readonly addresses: readonly string[];
  readonly gateway: string | null;
  readonly routes: readonly RouteConfig[];
  readonly mtuBytes: number | null;
  /** An XDP program in front, as `--xdp` has it, its files absolute; or null. */
  readonly xdp: string | null;
  /** Where the file says all this; null: flags do. */
  readonly places: ValuePlaces | null;
}

export type RawNic = Partial<NicConfig> & { readonly nic: string };

/** An interface with its defaults. */
export const nicOf = (raw: RawNic): NicConfig => ({
  nic: raw.nic,
  addresses: raw.addresses ?? [],
  gateway: raw.gateway ?? null,
  routes: raw.routes ?? [],
  mtuBytes: raw.mtuBytes ?? null,
  xdp: raw.xdp ?? null,
  places: null,
});

/**
 * What `openDevice` is to open: `eth1` is AF_XDP, shared with the kernel; `tap0` and `KIND:NAME` are as
 * everywhere.
 */
export function specificationOf({ nic, xdp }: Pick<NicConfig, "nic" | "xdp">): string {
  const isName = !nic.includes(":") && !nic.startsWith("tap");
  const plain = isName ? `xdp:${nic},shared` : nic;
  return xdp === null ? plain : `${plain},xdp=${xdp}`;
}
