/** Which maps may be entries of a map of maps: programs are verified with its template in their place. */
import { badObject, EbpfError } from "./ebpf-error.js";
import type { MapDefinition } from "./map-definition.js";
import { MapFlag, MapType } from "./map-type.js";

/** Why the map is not one for the template; null: it is (bpf_map_meta_equal and array_map_meta_equal in Linux). */
function misfit(template: MapDefinition, map: MapDefinition): string | null {
  if (map.type !== template.type) return "is of another type";
  if (map.inner !== null) return "is a map of maps itself";
  if (map.keyBytes !== template.keyBytes)
    return `has keys of ${map.keyBytes} bytes, not ${template.keyBytes}`;
  if (map.valueBytes !== template.valueBytes)
    return `has values of ${map.valueBytes} bytes, not ${template.valueBytes}`;
  if (map.flags !== template.flags) return "has other flags";
  if ((map.lockAt ?? null) !== (template.lockAt ?? null)) return "has its lock elsewhere";
  const mayDiffer = map.type !== MapType.ARRAY || (map.flags & MapFlag.INNER_MAP) !== 0;
  return mayDiffer || map.maxEntries === template.maxEntries
    ? null
    : `has ${map.maxEntries} entries, not ${template.maxEntries}`;
}

function reason(outer: MapDefinition, map: MapDefinition): string | null {
  if (outer.inner === null) return `the map ${outer.name} does not say what its maps are like`;
  const why = misfit(outer.inner, map);
  return why === null
    ? null
    : `the map ${outer.name} cannot hold ${map.name}, which ${why}: its maps are all alike`;
}

/** Throws `EbpfError` EINVAL when the outer map cannot hold the other. */
export function checkInner(outer: MapDefinition, map: MapDefinition): void {
  const why = reason(outer, map);
  if (why !== null) throw new EbpfError("EINVAL", why);
}

/** What an object puts into its maps of maps at the start. Throws `EbpfError` ENOEXEC. */
export function checkEntries(maps: readonly MapDefinition[]): void {
  for (const outer of maps) {
    if (outer.inner === null) continue;
    for (const entry of outer.entries) {
      const map = maps.find(({ name }) => name === entry);
      const why = map === undefined ? null : reason(outer, map);
      if (why !== null) throw badObject(why);
    }
  }
}
