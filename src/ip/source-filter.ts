/**
 * Source filters of multicast memberships and how those of several sockets become one (RFC 3376
 * §3.2, RFC 3810 §4.2): sets of sources that are included, or excluded.
 */
import type { IpAddress } from "../base/ip-address.js";

export const FilterMode = { INCLUDE: 0, EXCLUDE: 1 } as const;

export interface SourceFilter {
  /** {@link FilterMode}. */
  readonly mode: number;
  readonly sources: readonly IpAddress[];
}

/** Nobody listens: INCLUDE of nothing. */
export const NO_SOURCES: SourceFilter = { mode: FilterMode.INCLUDE, sources: [] };
/** Everything is wanted: EXCLUDE of nothing. */
export const ALL_SOURCES: SourceFilter = { mode: FilterMode.EXCLUDE, sources: [] };

/** Hot path. Whether a set holds an address. */
export function holds(sources: readonly IpAddress[], source: IpAddress): boolean {
  for (let i = 0; i < sources.length; i++) if (sources[i]!.equals(source)) return true;
  return false;
}

/** Hot path. Whether a filter lets a source pass. */
export function allows(filter: SourceFilter, source: IpAddress): boolean {
  return holds(filter.sources, source) === (filter.mode === FilterMode.INCLUDE);
}

/** The addresses of `a` that are not in `b`. */
export const without = (a: readonly IpAddress[], b: readonly IpAddress[]): IpAddress[] =>
  a.filter((source) => !holds(b, source));

/** The addresses of `a` that are in `b`. */
export const common = (a: readonly IpAddress[], b: readonly IpAddress[]): IpAddress[] =>
  a.filter((source) => holds(b, source));

/** The addresses of either, each once. */
export const union = (a: readonly IpAddress[], b: readonly IpAddress[]): IpAddress[] => [
  ...a,
  ...without(b, a),
];

export const sameFilter = (a: SourceFilter, b: SourceFilter): boolean =>
  a.mode === b.mode &&
  a.sources.length === b.sources.length &&
  without(a.sources, b.sources).length === 0;

/** The interface's filter: what at least one socket wants passes (RFC 3376 §3.2). */
export function merge(filters: readonly SourceFilter[]): SourceFilter {
  let excluded: IpAddress[] | null = null;
  let included: IpAddress[] = [];
  for (const f of filters) {
    if (f.mode === FilterMode.INCLUDE) included = union(included, f.sources);
    else excluded = excluded === null ? union(f.sources, []) : common(excluded, f.sources);
  }
  if (excluded === null) return { mode: FilterMode.INCLUDE, sources: included };
  return { mode: FilterMode.EXCLUDE, sources: without(excluded, included) };
}
