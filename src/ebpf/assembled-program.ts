/** A program whose maps still have names, and the step that makes it loadable. */

/** Where a map's descriptor belongs. */
export interface MapReference {
  /** Byte offset of the lddw. */
  readonly at: number;
  readonly map: string;
}

export interface AssembledProgram {
  /** Map references are still 0. */
  readonly code: Uint8Array;
  readonly maps: readonly MapReference[];
  /** Byte offset of each label. */
  readonly labels: ReadonlyMap<string, number>;
}

/** The code with the descriptors of its maps filled in. Throws `RangeError` for a missing one. */
export function linkMaps(
  program: AssembledProgram,
  fds: Readonly<Record<string, number>>,
): Uint8Array {
  const code = program.code.slice();
  const view = new DataView(code.buffer);
  for (const { at, map } of program.maps) {
    const fd = fds[map];
    if (fd === undefined || fd < 0) throw new RangeError(`the map ${map} has no descriptor`);
    view.setInt32(at + 4, fd, true);
  }
  return code;
}
