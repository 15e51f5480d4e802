/** Makes a map of any kind, and says how much memory it takes. */
import { ArrayMap } from "./array-map.js";
import { EbpfError } from "./ebpf-error.js";
import { HashMap } from "./hash-map.js";
import type { LinearMap, MapPlace } from "./linear-map.js";
import { MAP_HEADER_BYTES } from "./linear-map.js";
import { align8 } from "./linear-memory.js";
import type { MapDefinition } from "./map-definition.js";
import { isPerCpu, MapType, mapTypeName } from "./map-type.js";
import { RingMap } from "./ring-map.js";
import { TrieMap } from "./trie-map.js";

/** Throws `EbpfError`: ENOTSUP names kinds that this engine does not have. */
export function makeMap(definition: MapDefinition, place: MapPlace): LinearMap {
  if (ARRAYS.has(definition.type)) return new ArrayMap(definition, place);
  switch (definition.type) {
    case MapType.HASH:
    case MapType.PERCPU_HASH:
    case MapType.LRU_HASH:
    case MapType.LRU_PERCPU_HASH:
    case MapType.DEVMAP_HASH:
    case MapType.HASH_OF_MAPS:
      return new HashMap(definition, place);
    case MapType.LPM_TRIE:
      return new TrieMap(definition, place);
    case MapType.RINGBUF:
      return new RingMap(definition, place);
    default:
      throw new EbpfError(
        "ENOTSUP",
        `the map ${definition.name} is of type ${mapTypeName(definition.type)}, which is not supported`,
      );
  }
}

const ARRAYS: ReadonlySet<number> = new Set([
  MapType.ARRAY,
  MapType.PERCPU_ARRAY,
  MapType.PROG_ARRAY,
  MapType.PERF_EVENT_ARRAY,
  MapType.ARRAY_OF_MAPS,
  MapType.DEVMAP,
  MapType.CPUMAP,
  MapType.XSKMAP,
]);

/** An upper bound of what {@link makeMap} takes of the memory. */
export function mapMemoryBytes(definition: MapDefinition, cpus: number): number {
  const { type, keyBytes, valueBytes, maxEntries } = definition;
  const values = align8(valueBytes) * (isPerCpu(type) ? cpus : 1);
  const fixed = MAP_HEADER_BYTES + align8(keyBytes) + values + 64;
  if (type === MapType.RINGBUF) return fixed + maxEntries * 2;
  if (ARRAYS.has(type)) return fixed + maxEntries * (values + 1);
  const each = align8(keyBytes) + values + 17;
  return fixed + maxEntries * each * (type === MapType.LPM_TRIE ? 2 : 1) + maxEntries * 8;
}
