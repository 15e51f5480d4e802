/**
 * Maps as text: a JSON list of entries, `[{"key": …, "value": …}]`, keys and values as their types in BTF say
 * (btf-value.ts). What `millrace xdp run --dump` prints can be read.
 */
import { type JsonNode, parseCommentedJson } from "../base/commented-json.js";
import { errnoName } from "../base/errno.js";
import { PlacedError } from "../base/placed-error.js";
import type { Btf } from "./btf.js";
import { decodeValue, encodeValue, type Readable } from "./btf-value.js";
import { EbpfError } from "./ebpf-error.js";
import type { XdpInstance } from "./instance.js";
import type { LinearMap } from "./linear-map.js";
import type { MapDefinition } from "./map-definition.js";
import { isPerCpu, MapType } from "./map-type.js";
import type { BpfObject } from "./object.js";

/** A map of the engine's or of the kernel's. */
export interface WritableMap {
  readonly bufferBytes: number;
  write(key: Uint8Array, value: Uint8Array): number;
  entries(): { key: Uint8Array; value: Uint8Array }[];
  /** Of maps of programs and of maps: puts in the one of that name, which is there. */
  refer?(key: Uint8Array, name: string): number;
}

export interface ReadableEntry {
  readonly key: Readable;
  readonly value: Readable;
}

/** Puts entries into a map. Throws `EbpfError` EINVAL with the text's name, entry and what was expected. */
export function writeEntries(
  object: BpfObject,
  name: string,
  text: string,
  source: string,
  map: WritableMap,
): void {
  const definition = definitionOf(object, name);
  const parsed = parse(text, source);
  const refuse = ({ place }: JsonNode, what: string): EbpfError =>
    new EbpfError("EINVAL", `${source}:${place.line}:${place.column}: ${what}`);
  if (parsed.kind !== "array") {
    throw refuse(parsed, 'expected a list: [{"key": …, "value": …}]');
  }
  for (const [n, node] of parsed.elements.entries()) {
    const entry = readableOf(node) as Partial<ReadableEntry> | null;
    if (node.kind !== "object" || entry?.key === undefined || entry.value === undefined) {
      throw refuse(node, `entry ${n}: expected "key" and "value"`);
    }
    const other = Object.keys(entry).find((name) => name !== "key" && name !== "value");
    if (other !== undefined) {
      throw refuse(
        node,
        `entry ${n}: expected "key" and "value" alone, got ${JSON.stringify(other)}`,
      );
    }
    const wrong = (what: string): EbpfError => refuse(node, `entry ${n}: ${what}`);
    const result = holdsNames(definition)
      ? writeName(object, definition, map, entry as ReadableEntry, wrong)
      : writeEntry(object.btf, definition, map, entry as ReadableEntry, wrong);
    if (result !== 0) throw refuse(node, `entry ${n}: ${name} takes it not: ${errnoName(result)}`);
  }
}

function parse(text: string, source: string): JsonNode {
  try {
    return parseCommentedJson(text, source);
  } catch (error) {
    if (error instanceof PlacedError) throw new EbpfError("EINVAL", error.message);
    throw error;
  }
}

function readableOf(node: JsonNode): unknown {
  switch (node.kind) {
    case "null":
      return null;
    case "array":
      return node.elements.map(readableOf);
    case "object":
      return Object.fromEntries(node.members.map(({ key, value }) => [key, readableOf(value)]));
    default:
      return node.value;
  }
}

function writeEntry(
  btf: Btf | null,
  definition: MapDefinition,
  map: WritableMap,
  entry: ReadableEntry,
  refuse: (what: string) => EbpfError,
): number {
  const { keyBytes, valueBytes, keyType, valueType, type } = definition;
  try {
    const key = encodeValue(btf, keyType, keyBytes, entry.key);
    const isPerCpuList = isPerCpu(type) && Array.isArray(entry.value);
    const values = isPerCpuList ? (entry.value as readonly Readable[]) : [entry.value];
    const stride = isPerCpu(type) ? Math.ceil(valueBytes / 8) * 8 : map.bufferBytes;
    const all = new Uint8Array(map.bufferBytes);
    for (let at = 0, n = 0; at < all.length; at += stride, n++) {
      all.set(encodeValue(btf, valueType, valueBytes, values[n % values.length]!), at);
    }
    return map.write(key, all);
  } catch (error) {
    if (error instanceof EbpfError) throw refuse(error.message);
    throw error;
  }
}

const holdsNames = ({ type, inner }: MapDefinition): boolean =>
  type === MapType.PROG_ARRAY || inner !== null;

/** An entry that is a program or a map, by its name. */
function writeName(
  object: BpfObject,
  definition: MapDefinition,
  map: WritableMap,
  { key, value }: ReadableEntry,
  refuse: (what: string) => EbpfError,
): number {
  const isPrograms = definition.type === MapType.PROG_ARRAY;
  const there = isPrograms ? object.programs : object.maps.filter(({ inner }) => inner === null);
  if (!there.some(({ name }) => name === value)) {
    const names = there.map(({ name }) => name).join(", ");
    const what = isPrograms ? "a program" : "a map";
    throw refuse(`expected ${what} of the object: ${names}; got ${JSON.stringify(value)}`);
  }
  try {
    const bytes = encodeValue(object.btf, definition.keyType, definition.keyBytes, key);
    return map.refer!(bytes, value as string);
  } catch (error) {
    if (error instanceof EbpfError) throw refuse(error.message);
    throw error;
  }
}

export function definitionOf(object: BpfObject, name: string): MapDefinition {
  const found = object.maps.find((map) => map.name === name);
  if (found !== undefined) return found;
  const names = object.maps.map((map) => map.name).join(", ") || "none";
  throw new EbpfError("EINVAL", `there is no map ${name}; the object has: ${names}`);
}

/** Kinds whose contents say something outside of a program. */
const SHOWN: ReadonlySet<number> = new Set([
  MapType.HASH,
  MapType.ARRAY,
  MapType.PERCPU_HASH,
  MapType.PERCPU_ARRAY,
  MapType.LRU_HASH,
  MapType.LRU_PERCPU_HASH,
  MapType.LPM_TRIE,
  MapType.DEVMAP,
  MapType.DEVMAP_HASH,
]);

/** A map of an instance's, for entries that may be programs and maps. */
export const instanceMap = (instance: XdpInstance, name: string): WritableMap => ({
  ...writable(instance.map(name)),
  refer: (key, target) =>
    definitionOf(instance.object, name).type === MapType.PROG_ARRAY
      ? instance.setProgram(name, new DataView(key.buffer).getUint32(0, true), target)
      : instance.setInner(name, key, target),
});

/** A map of an engine's, as both ways here want it. */
export const writable = (map: LinearMap): WritableMap => ({
  bufferBytes: map.bufferBytes,
  write: (key, value) => map.set(key, value),
  entries: () => map.entries(),
});

/**
 * The entries of a map, by their keys: tables keep them in the order of a hash. Those of an array that are all
 * zero are left out.
 */
export function readMap(object: BpfObject, name: string, map: WritableMap): ReadableEntry[] | null {
  const { type, keyType, valueType, valueBytes } = definitionOf(object, name);
  if (!SHOWN.has(type)) return null;
  const isArray = type === MapType.ARRAY || type === MapType.PERCPU_ARRAY;
  return map
    .entries()
    .filter(({ value }) => !isArray || value.some((byte) => byte !== 0))
    .sort((one, other) => Buffer.compare(one.key, other.key))
    .map(({ key, value }) => ({
      key: decodeValue(object.btf, keyType, key),
      value: isPerCpu(type)
        ? perCpu(value, valueBytes).map((one) => decodeValue(object.btf, valueType, one))
        : decodeValue(object.btf, valueType, value),
    }))
    .sort((one, other) => compareNumbers(one.key, other.key));
}

/** Numbers by size; all else stays in the order of its bytes, in which addresses are. */
function compareNumbers(one: Readable, other: Readable): number {
  return typeof one === "number" && typeof other === "number" ? one - other : 0;
}

function perCpu(value: Uint8Array, valueBytes: number): Uint8Array[] {
  const stride = Math.ceil(valueBytes / 8) * 8;
  return Array.from({ length: value.length / stride }, (_, n) =>
    value.subarray(n * stride, n * stride + valueBytes),
  );
}
