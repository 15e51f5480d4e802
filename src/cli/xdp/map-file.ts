/** Maps in files, for the options of `millrace xdp`: the text is ebpf/map-text.ts's. */
import { EbpfError } from "../../ebpf/ebpf-error.js";
import { type WritableMap, writeEntries } from "../../ebpf/map-text.js";
import type { BpfObject } from "../../ebpf/object.js";
import { readBytes } from "./object-file.js";

export {
  definitionOf,
  type ReadableEntry,
  readMap,
  type WritableMap,
} from "../../ebpf/map-text.js";

/** `name=file` of the command line. */
export function parseMapOption(text: string): readonly [name: string, file: string] {
  const at = text.indexOf("=");
  if (at <= 0 || at === text.length - 1) {
    throw new EbpfError("EINVAL", `--map: expected NAME=FILE, got ${text}`);
  }
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Puts a file's entries into a map. Throws `EbpfError` EINVAL with file, entry and what was expected. */
export function fillMap(object: BpfObject, name: string, file: string, map: WritableMap): void {
  writeEntries(object, name, Buffer.from(readBytes(file)).toString("utf8"), file, map);
}
