/** All helpers that this engine has, by number. */
import { COOKIE_HELPERS } from "./cookie-helpers.js";
import { EbpfError } from "./ebpf-error.js";
import type { Helper } from "./helper.js";
import { HELPER_NAMES } from "./helper-names.js";
import { MAP_HELPERS } from "./map-helpers.js";
import { METADATA_HELPERS } from "./metadata-helpers.js";
import { OTHER_HELPERS } from "./other-helpers.js";
import { PACKET_HELPERS } from "./packet-helpers.js";

export const HELPERS: ReadonlyMap<number, Helper> = new Map(
  [...MAP_HELPERS, ...PACKET_HELPERS, ...COOKIE_HELPERS, ...OTHER_HELPERS, ...METADATA_HELPERS].map(
    (helper) => [helper.number, helper],
  ),
);

/** Functions of the kernel by their names, and the numbers that they have here. */
export const KERNEL_FUNCTIONS: ReadonlyMap<string, number> = new Map(
  METADATA_HELPERS.map(({ name, number }) => [`bpf_${name}`, number]),
);

/** What a call instruction calls, by number and by whether it calls a function of the kernel. */
export function calledHelper(number: number, isKernelFunction: boolean): Helper | undefined {
  const helper = HELPERS.get(number);
  return (helper?.isKernelFunction === true) === isKernelFunction ? helper : undefined;
}

/** The same as an array, which is faster to look into. */
export const helperTable: readonly (Helper | undefined)[] = [...HELPERS].reduce<Helper[]>(
  (table, [number, helper]) => {
    table[number] = helper;
    return table;
  },
  [],
);

/** `bpf_map_lookup_elem`, or the number of one that nobody knows. */
export function helperName(number: number): string {
  const name = number === 0 ? undefined : (HELPER_NAMES[number] ?? HELPERS.get(number)?.name);
  return name === undefined ? `helper ${number}` : `bpf_${name}`;
}

/** A helper by its number. Throws `EbpfError` ENOTSUP with its name. */
export function requireHelper(number: number): Helper {
  const helper = HELPERS.get(number);
  if (helper !== undefined) return helper;
  throw new EbpfError("ENOTSUP", `${helperName(number)} (helper ${number}) is not supported`);
}

export const TAIL_CALL = 12;
export const MAP_LOOKUP = 1;
