/**
 * What an object says about its maps: section `.maps`, where each is a struct whose members' types hold
 * the numbers (libbpf's BTF-defined maps), section `maps` of older objects, where they are
 * `struct bpf_map_def`, and sections of variables, each a map with one entry.
 */
import { type Btf, BtfKind, type BtfType } from "./btf.js";
import { badObject } from "./ebpf-error.js";
import type { ElfFile, ElfSection } from "./elf.js";
import { SymbolType } from "./elf.js";
import { MapFlag, MapType } from "./map-type.js";
import { lockIn } from "./verify-lock.js";

export interface MapDefinition {
  readonly name: string;
  /** One of `MapType`, or another of the kernel's. */
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** 0: to be given by whoever makes the map. */
  readonly maxEntries: number;
  readonly flags: number;
  /** What the values of a map of maps look like. */
  readonly inner: MapDefinition | null;
  /** Variables: the contents at the start, all zero when null. */
  readonly initial: Uint8Array | null;
  /** Names of the maps or programs that are its entries at the start, by index. */
  readonly entries: readonly (string | null)[];
  /** Types of key and value in the object's BTF; 0 when it does not say. */
  readonly keyType: number;
  readonly valueType: number;
  /** Byte of a value at which its `struct bpf_spin_lock` is; none when it is not there or null. */
  readonly lockAt?: number | null;
}

/** A map and where its symbol is. */
export interface PlacedMap {
  readonly section: number;
  readonly at: number;
  readonly definition: MapDefinition;
}

export const BTF_MAPS = ".maps";
const LEGACY_MAPS = "maps";
/** The members of `struct bpf_map_def` that everyone has. */
const LEGACY_BYTES = 20;
/** Larger ones are mistakes or attacks: the kernel's own limit on a value is below it. */
const MAX_VARIABLES_BYTES = 64 * 1024 * 1024;

const EMPTY: Omit<MapDefinition, "name" | "type"> = {
  keyBytes: 0,
  valueBytes: 0,
  maxEntries: 0,
  flags: 0,
  inner: null,
  initial: null,
  entries: [],
  keyType: 0,
  valueType: 0,
};

/** All maps of an object. Throws `EbpfError` ENOEXEC. */
export function readMapDefinitions(elf: ElfFile, btf: Btf | null): PlacedMap[] {
  return elf.sections.flatMap((section) => {
    if (section.name === BTF_MAPS) return readBtfMaps(elf, section, btf);
    if (section.name === LEGACY_MAPS) return readLegacyMaps(elf, section);
    return isVariables(section.name) ? [readVariables(section, btf)] : [];
  });
}

export function isVariables(name: string): boolean {
  return /^\.(data|rodata|bss)(\.|$)/.test(name);
}

function readVariables(section: ElfSection, btf: Btf | null): PlacedMap {
  if (section.sizeBytes > MAX_VARIABLES_BYTES) {
    throw badObject(`${section.name} has ${section.sizeBytes} bytes, which is too much for a map`);
  }
  const isReadOnly = section.name.startsWith(".rodata");
  const valueType = btf?.find(section.name, BtfKind.DATASEC)[0]?.id ?? 0;
  return {
    section: section.index,
    at: 0,
    definition: {
      ...EMPTY,
      name: section.name,
      type: MapType.ARRAY,
      keyBytes: 4,
      valueBytes: section.sizeBytes,
      maxEntries: 1,
      flags: isReadOnly ? MapFlag.RDONLY_PROG : 0,
      initial: section.bytes.length === 0 ? null : section.bytes,
      valueType,
      lockAt: btf === null || valueType === 0 ? null : lockIn(btf, valueType, MapType.ARRAY),
    },
  };
}

function readLegacyMaps(elf: ElfFile, section: ElfSection): PlacedMap[] {
  const { bytes } = section;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const symbols = elf.symbols.filter(
    (symbol) => symbol.section === section.index && symbol.type !== SymbolType.SECTION,
  );
  return symbols.map(({ name, value: at }) => {
    if (at + LEGACY_BYTES > bytes.length) {
      throw badObject(`the map ${name} (byte ${at} of section maps) ends after the section`);
    }
    const [type, keyBytes, valueBytes, maxEntries, flags] = [0, 4, 8, 12, 16].map((place) =>
      view.getUint32(at + place, true),
    ) as [number, number, number, number, number];
    return {
      section: section.index,
      at,
      definition: { ...EMPTY, name, type, keyBytes, valueBytes, maxEntries, flags },
    };
  });
}

function readBtfMaps(elf: ElfFile, section: ElfSection, btf: Btf | null): PlacedMap[] {
  if (btf === null) throw badObject("it has .maps but no .BTF, which says what they are: clang -g");
  const data = btf.find(BTF_MAPS, BtfKind.DATASEC)[0];
  if (data === undefined)
    throw badObject("it has .maps but .BTF says nothing about them: clang -g");
  return data.variables.map((variable) => {
    const { name, type } = btf.at(variable.type);
    // The places in .BTF are 0 until a linker sets them: the symbol has the right one.
    const symbol = elf.symbols.find((s) => s.name === name && s.section === section.index);
    if (symbol === undefined) throw badObject(`the map ${name} has no symbol`);
    const definition = readDefinition(btf, name, type);
    return {
      section: section.index,
      at: symbol.value,
      definition: { ...definition, entries: readEntries(elf, section, btf, type, symbol.value) },
    };
  });
}

const MAX_INNER_DEPTH = 2;

function readDefinition(btf: Btf, name: string, typeId: number, depth = 0): MapDefinition {
  const struct = btf.resolve(typeId);
  if (struct.kind !== BtfKind.STRUCT)
    throw badObject(`the map ${name} is not declared as a struct`);
  if (depth > MAX_INNER_DEPTH) throw badObject(`the map ${name} holds maps that hold maps`);
  const found = { ...EMPTY, name, type: 0 } as {
    -readonly [K in keyof MapDefinition]: MapDefinition[K];
  };
  for (const member of struct.members) {
    const type = btf.resolve(member.type);
    switch (member.name) {
      case "type":
        found.type = numberOf(btf, type, name, member.name);
        break;
      case "max_entries":
        found.maxEntries = numberOf(btf, type, name, member.name);
        break;
      case "map_flags":
        found.flags = numberOf(btf, type, name, member.name);
        break;
      case "key_size":
        found.keyBytes = numberOf(btf, type, name, member.name);
        break;
      case "value_size":
        found.valueBytes = numberOf(btf, type, name, member.name);
        break;
      case "key":
        found.keyType = type.type;
        found.keyBytes = btf.sizeOf(type.type);
        break;
      case "value":
        found.valueType = type.type;
        found.valueBytes = btf.sizeOf(type.type);
        break;
      case "values":
        found.inner = readInner(btf, name, type, depth);
        if (found.keyBytes === 0) found.keyBytes = 4;
        if (found.valueBytes === 0) found.valueBytes = 4;
        break;
      case "pinning":
      case "numa_node":
      case "map_extra":
        break;
      default:
        throw badObject(`the map ${name} has a member ${member.name}, which is unknown`);
    }
  }
  if (found.valueType !== 0) found.lockAt = lockIn(btf, found.valueType, found.type);
  return found;
}

/** Numbers are written as the length of an array that a pointer points to. */
function numberOf(btf: Btf, type: BtfType, map: string, member: string): number {
  const array = type.kind === BtfKind.PTR ? btf.resolve(type.type) : null;
  if (array?.kind !== BtfKind.ARRAY) {
    throw badObject(`the map ${map}: expected __uint(${member}, …)`);
  }
  return array.elements;
}

/** What `__array(values, …)` points to: a map, or a program (whose type says nothing). */
function readInner(btf: Btf, name: string, type: BtfType, depth: number): MapDefinition | null {
  const element = type.kind === BtfKind.ARRAY ? btf.resolve(type.type) : null;
  if (element?.kind !== BtfKind.PTR)
    throw badObject(`the map ${name}: expected __array(values, …)`);
  const inner = btf.resolve(element.type);
  return inner.kind === BtfKind.STRUCT
    ? readDefinition(btf, `${name}.inner`, inner.id, depth + 1)
    : null;
}

const MAX_ENTRIES_AT_START = 65_536;

/** Relocations inside a map's own bytes name its entries. */
function readEntries(
  elf: ElfFile,
  section: ElfSection,
  btf: Btf,
  typeId: number,
  at: number,
): (string | null)[] {
  const struct = btf.resolve(typeId);
  const values = struct.members.find((member) => member.name === "values");
  if (values === undefined) return [];
  const from = at + values.bitOffset / 8;
  const end = at + section.sizeBytes;
  const next = elf.symbols
    .filter((s) => s.section === section.index && s.value > at)
    .reduce((least, s) => Math.min(least, s.value), end);
  const entries: (string | null)[] = [];
  for (const { at: place, symbol } of elf.relocations.get(section.index) ?? []) {
    if (place < from || place >= next) continue;
    const index = (place - from) / 8;
    if (!Number.isInteger(index) || index >= MAX_ENTRIES_AT_START) {
      throw badObject(`.maps: an entry at byte ${place}, where none can be`);
    }
    while (entries.length <= index) entries.push(null);
    entries[index] = symbol.name;
  }
  return entries;
}
