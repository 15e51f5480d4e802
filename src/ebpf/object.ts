/**
 * Object files of eBPF as clang makes them: programs, maps, types and source lines.
 *
 *     const object = parseObject(readFileSync("filter.o"));
 *     object.programs.map((program) => program.name);
 *
 * A program that needs what this engine does not have is there with its `problem`, so that the others
 * can be used. A broken object is an `EbpfError` ENOEXEC.
 */
import { Btf, BtfKind } from "./btf.js";
import { type BtfExt, parseBtfExt } from "./btf-ext.js";
import { applyCore } from "./core.js";
import { badObject, EbpfError } from "./ebpf-error.js";
import { type ElfFile, parseElf, SectionFlag, SectionType } from "./elf.js";
import { checkEntries } from "./inner-map.js";
import { INSTRUCTION_BYTES } from "./isa.js";
import {
  type FunctionSymbol,
  findFunctions,
  type LinkedProgram,
  type LinkInput,
  link,
} from "./link.js";
import { type MapDefinition, readMapDefinitions } from "./map-definition.js";

/** An entry: a function in a section that says where it attaches. */
export interface ObjectProgram extends LinkedProgram {
  readonly name: string;
  /** `xdp`, `xdp.frags/devmap`, … */
  readonly section: string;
  /** Why it cannot be used; its code is then empty. */
  readonly problem: EbpfError | null;
}

export interface BpfObject {
  readonly programs: readonly ObjectProgram[];
  readonly maps: readonly MapDefinition[];
  readonly license: string;
  /** null: built without `-g`. */
  readonly btf: Btf | null;
}

export interface ParseOptions {
  /** The kernel's types, for CO-RE (core.ts). */
  readonly kernelTypes?: Btf;
}

/** Reads a whole object. Throws `EbpfError` ENOEXEC. The input is not kept. */
export function parseObject(file: Uint8Array, options: ParseOptions = {}): BpfObject {
  const elf = parseElf(new Uint8Array(file));
  const btfBytes = sectionBytes(elf, ".BTF");
  const btf = btfBytes === null ? null : placeVariables(Btf.parse(btfBytes), elf);
  const extBytes = sectionBytes(elf, ".BTF.ext");
  const ext = btf === null || extBytes === null ? null : parseBtfExt(extBytes, btf);
  const code = readCode(elf);
  if (btf !== null && ext !== null) relocateTypes(elf, code, btf, ext, options.kernelTypes ?? null);
  const functions = findFunctions(elf, code);
  const maps = readMapDefinitions(elf, btf);
  checkEntries(maps.map(({ definition }) => definition));
  const input: LinkInput = { elf, code, functions, maps, ext };
  const programs = functions
    .filter((symbol) => symbol.isGlobal && elf.sections[symbol.section]!.name !== ".text")
    .map((symbol) => openProgram(symbol, input));
  return {
    programs,
    maps: maps.map(({ definition }) => definition),
    license: readLicense(elf),
    btf,
  };
}

/** Compilers leave the places of variables to whoever links: the symbols have them. */
function placeVariables(btf: Btf, elf: ElfFile): Btf {
  const sections = new Map(elf.sections.map(({ name, index }) => [name, index]));
  const symbols = new Map(
    elf.symbols.map((symbol) => [`${symbol.section} ${symbol.name}`, symbol]),
  );
  return btf.with((type) => {
    const section = sections.get(type.name);
    if (type.kind !== BtfKind.DATASEC || section === undefined) return type;
    const variables = type.variables.map((one) => {
      const symbol = symbols.get(`${section} ${btf.at(one.type).name}`);
      return symbol === undefined ? one : { ...one, at: symbol.value };
    });
    return { ...type, variables };
  });
}

function sectionBytes(elf: ElfFile, name: string): Uint8Array | null {
  return elf.sections.find((section) => section.name === name)?.bytes ?? null;
}

function readCode(elf: ElfFile): Map<number, Uint8Array> {
  const code = new Map<number, Uint8Array>();
  for (const section of elf.sections) {
    if (section.type !== SectionType.PROGBITS || (section.flags & SectionFlag.EXEC) === 0) continue;
    if (section.bytes.length % INSTRUCTION_BYTES !== 0) {
      throw badObject(
        `${section.name} has ${section.bytes.length} bytes, which is no number of instructions`,
      );
    }
    code.set(section.index, section.bytes);
  }
  return code;
}

function relocateTypes(
  elf: ElfFile,
  code: ReadonlyMap<number, Uint8Array>,
  btf: Btf,
  ext: BtfExt,
  target: Btf | null,
): void {
  for (const [index, bytes] of code) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const relocation of ext.relocations.get(elf.sections[index]!.name) ?? []) {
      applyCore(view, relocation, btf, target);
    }
  }
}

function openProgram(symbol: FunctionSymbol, input: LinkInput): ObjectProgram {
  const about = { name: symbol.name, section: input.elf.sections[symbol.section]!.name };
  try {
    return { ...about, problem: null, ...link(symbol, input) };
  } catch (error) {
    if (!(error instanceof EbpfError) || error.code !== "ENOTSUP") throw error;
    return {
      ...about,
      problem: error,
      code: new Uint8Array(0),
      maps: [],
      functions: [],
      lines: [],
    };
  }
}

function readLicense(elf: ElfFile): string {
  const bytes = sectionBytes(elf, "license");
  if (bytes === null) return "";
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("latin1");
}
