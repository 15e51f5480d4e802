/**
 * Relocatable ELF files of 64 bits, little endian, for eBPF (System V ABI, gABI 4.1 §4; machine 247):
 * sections, symbols and relocations, as records. Names and contents mean nothing here.
 *
 * The file is not trusted: every offset and count is checked against its length before it is used, and
 * what is wrong is an `EbpfError` ENOEXEC that names the section. Contents are views of the input.
 */
import { badObject } from "./ebpf-error.js";

const HEADER_BYTES = 64;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 16;
const RELOCATION_ADDEND_BYTES = 24;

const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const TYPE_RELOCATABLE = 1;
const MACHINE_BPF = 247;

/** `sh_type` */
export const SectionType = {
  NULL: 0,
  PROGBITS: 1,
  SYMTAB: 2,
  STRTAB: 3,
  RELA: 4,
  NOBITS: 8,
  REL: 9,
};
/** `sh_flags` */
export const SectionFlag = { WRITE: 1, ALLOC: 2, EXEC: 4, COMPRESSED: 0x800 } as const;
/** Kinds of symbols, the low half of `st_info`. */
export const SymbolType = { NONE: 0, OBJECT: 1, FUNCTION: 2, SECTION: 3 } as const;
/** The high half of `st_info`. */
export const SymbolBinding = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const;

const STV_INTERNAL = 1;
const STV_HIDDEN = 2;

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly sizeBytes: number;
  /** Empty for sections that take no room in the file (`.bss`). */
  readonly bytes: Uint8Array;
  readonly link: number;
  readonly info: number;
}

export interface ElfSymbol {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly binding: number;
  /** For this file's parts only (STV_HIDDEN, STV_INTERNAL). */
  readonly isHidden: boolean;
  /** 0: not in this file; above 0xff00: no section. */
  readonly section: number;
  readonly value: number;
  readonly sizeBytes: number;
}

export interface ElfRelocation {
  /** Byte in the section that is to be changed. */
  readonly at: number;
  /** `R_BPF_*` */
  readonly type: number;
  readonly symbol: ElfSymbol;
}

export interface ElfFile {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  /** By the index of the section that they change. */
  readonly relocations: ReadonlyMap<number, readonly ElfRelocation[]>;
}

/** Reads a whole object file. Throws `EbpfError` ENOEXEC. */
export function parseElf(file: Uint8Array): ElfFile {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  checkHeader(view);
  const sections = readSections(file, view);
  const symbols = readSymbols(sections);
  return { sections, symbols, relocations: readRelocations(sections, symbols) };
}

function checkHeader(view: DataView): void {
  if (view.byteLength < HEADER_BYTES) {
    throw badObject(`a file of ${view.byteLength} bytes is shorter than an ELF header`);
  }
  if (view.getUint32(0) !== 0x7f454c46)
    throw badObject("this is no ELF file (its magic is missing)");
  if (view.getUint8(4) !== CLASS_64) throw badObject("expected an ELF file of 64 bits");
  if (view.getUint8(5) !== LITTLE_ENDIAN) {
    throw badObject("expected a little-endian object: build it with clang -target bpfel");
  }
  const machine = view.getUint16(18, true);
  if (machine !== MACHINE_BPF) {
    throw badObject(
      `an object for machine ${machine}, expected eBPF (247): build with -target bpf`,
    );
  }
  const type = view.getUint16(16, true);
  if (type !== TYPE_RELOCATABLE) {
    throw badObject(`an ELF file of type ${type}, expected an object (1): build with clang -c`);
  }
}

function readSections(file: Uint8Array, view: DataView): ElfSection[] {
  const at = u64(view, 40, "the place of the section headers");
  const entryBytes = view.getUint16(58, true);
  const count = view.getUint16(60, true);
  const namesIndex = view.getUint16(62, true);
  if (count === 0) throw badObject("it has no sections");
  if (entryBytes !== SECTION_HEADER_BYTES) {
    throw badObject(`section headers of ${entryBytes} bytes, expected ${SECTION_HEADER_BYTES}`);
  }
  if (at + count * entryBytes > file.length) {
    throw badObject(
      `${count} section headers at byte ${at} end after the file (${file.length} bytes)`,
    );
  }
  const raw = Array.from({ length: count }, (_, index) =>
    readSection(file, view, at + index * entryBytes, index),
  );
  const names = raw[namesIndex];
  if (names === undefined) throw badObject(`there is no section ${namesIndex} with section names`);
  return raw.map(({ nameAt, ...section }) => ({
    ...section,
    name: readName(names.bytes, nameAt, `section ${section.index}`),
  }));
}

function readSection(
  file: Uint8Array,
  view: DataView,
  at: number,
  index: number,
): Omit<ElfSection, "name"> & { nameAt: number } {
  const type = view.getUint32(at + 4, true);
  const what = `section ${index}`;
  const sizeBytes = u64(view, at + 32, `the size of ${what}`);
  const contentAt = u64(view, at + 24, `the place of ${what}`);
  const isInFile = type !== SectionType.NOBITS && type !== SectionType.NULL;
  if (isInFile && contentAt + sizeBytes > file.length) {
    throw badObject(
      `${what} (bytes ${contentAt} to ${contentAt + sizeBytes}) ends after the file (${file.length} bytes)`,
    );
  }
  return {
    index,
    nameAt: view.getUint32(at, true),
    type,
    flags: view.getUint32(at + 8, true),
    sizeBytes,
    bytes: isInFile ? file.subarray(contentAt, contentAt + sizeBytes) : file.subarray(0, 0),
    link: view.getUint32(at + 40, true),
    info: view.getUint32(at + 44, true),
  };
}

function readSymbols(sections: readonly ElfSection[]): ElfSymbol[] {
  const table = sections.find((section) => section.type === SectionType.SYMTAB);
  if (table === undefined) return [];
  const names = sections[table.link];
  if (names === undefined)
    throw badObject(`the symbols' names are in section ${table.link}, which is not there`);
  if (table.bytes.length % SYMBOL_BYTES !== 0) {
    throw badObject(`${table.name} has ${table.bytes.length} bytes, which is no number of symbols`);
  }
  const view = viewOf(table.bytes);
  return Array.from({ length: table.bytes.length / SYMBOL_BYTES }, (_, index) => {
    const at = index * SYMBOL_BYTES;
    const info = view.getUint8(at + 4);
    const type = info & 15;
    const section = view.getUint16(at + 6, true);
    const name = readName(names.bytes, view.getUint32(at, true), `symbol ${index}`);
    return {
      index,
      name: name === "" && type === SymbolType.SECTION ? (sections[section]?.name ?? "") : name,
      type,
      binding: info >> 4,
      isHidden: [STV_INTERNAL, STV_HIDDEN].includes(view.getUint8(at + 5) & 3),
      section,
      value: u64(view, at + 8, `the value of symbol ${index}`),
      sizeBytes: u64(view, at + 16, `the size of symbol ${index}`),
    };
  });
}

function readRelocations(
  sections: readonly ElfSection[],
  symbols: readonly ElfSymbol[],
): Map<number, ElfRelocation[]> {
  const all = new Map<number, ElfRelocation[]>();
  for (const section of sections) {
    if (section.type !== SectionType.REL && section.type !== SectionType.RELA) continue;
    const target = sections[section.info];
    if (target === undefined) {
      throw badObject(`${section.name} changes section ${section.info}, which is not there`);
    }
    // Debugging sections have by far the most, and nobody here reads them.
    if (target.name.startsWith(".debug")) continue;
    const found = all.get(target.index) ?? [];
    for (const relocation of readTable(section, symbols)) {
      if (relocation.at >= target.sizeBytes) {
        throw badObject(
          `${section.name} changes byte ${relocation.at} of ${target.name}, which has ${target.sizeBytes}`,
        );
      }
      found.push(relocation);
    }
    all.set(target.index, found);
  }
  return all;
}

function readTable(section: ElfSection, symbols: readonly ElfSymbol[]): ElfRelocation[] {
  const entryBytes = section.type === SectionType.REL ? RELOCATION_BYTES : RELOCATION_ADDEND_BYTES;
  if (section.bytes.length % entryBytes !== 0) {
    throw badObject(
      `${section.name} has ${section.bytes.length} bytes, which is no number of relocations`,
    );
  }
  const view = viewOf(section.bytes);
  return Array.from({ length: section.bytes.length / entryBytes }, (_, index) => {
    const at = index * entryBytes;
    const number = view.getUint32(at + 12, true);
    const symbol = symbols[number];
    if (symbol === undefined) {
      throw badObject(
        `relocation ${index} of ${section.name} is to symbol ${number}, which is not there`,
      );
    }
    return {
      at: u64(view, at, `the place of relocation ${index} of ${section.name}`),
      type: view.getUint32(at + 8, true),
      symbol,
    };
  });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A number of 64 bits that is a place or size in a file, and so must be small. */
function u64(view: DataView, at: number, what: string): number {
  const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  if (value > 0xffff_ffff) throw badObject(`${what} is ${value}, which no object file reaches`);
  return value;
}

/** A name that ends with a zero byte. */
export function readName(table: Uint8Array, at: number, what: string): string {
  if (at === 0 && table.length === 0) return "";
  const end = at < table.length ? table.indexOf(0, at) : -1;
  if (end < 0) throw badObject(`the name of ${what} (byte ${at} of ${table.length}) has no end`);
  return Buffer.from(table.buffer, table.byteOffset + at, end - at).toString("latin1");
}
