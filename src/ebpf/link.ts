/**
 * Puts a program together: its entry function, every function that it calls, and where maps belong, in
 * one stretch of code, as the kernel wants it (libbpf: `bpf_object__relocate_calls`).
 *
 * Functions are taken once each, in the order in which calls to them are met, so calls in a circle end.
 * Map references keep names (`assembled-program.ts`), the place in a variable's map is in the lddw.
 */
import type { MapReference } from "./assembled-program.js";
import type { BtfExt, SourceLine } from "./btf-ext.js";
import { badObject, EbpfError } from "./ebpf-error.js";
import {
  type ElfFile,
  type ElfRelocation,
  type ElfSymbol,
  SymbolBinding,
  SymbolType,
} from "./elf.js";
import { KERNEL_FUNCTIONS } from "./helpers.js";
import { CallKind, Class, INSTRUCTION_BYTES, Jmp, LDDW, WideKind } from "./isa.js";
import { isVariables, type PlacedMap } from "./map-definition.js";

/** `R_BPF_64_64` and `R_BPF_64_32` */
const RELOCATION_CONSTANT = 1;
const RELOCATION_CALL = 10;
/** The kernel's limit for one program, in words. */
const MAX_WORDS = 1_000_000;

export interface LinkedFunction {
  readonly name: string;
  /** Byte offset of its first instruction. */
  readonly at: number;
  /** Others may call it, too: the kernel verifies it by itself. Hidden ones are static to whoever loads them. */
  readonly isGlobal?: boolean;
}

export interface LinkedProgram {
  readonly code: Uint8Array;
  readonly maps: readonly MapReference[];
  /** The entry is first. */
  readonly functions: readonly LinkedFunction[];
  /** By place in the code. */
  readonly lines: readonly SourceLine[];
}

/** A function of a section of code. */
export interface FunctionSymbol {
  readonly name: string;
  readonly section: number;
  readonly at: number;
  readonly sizeBytes: number;
  readonly isGlobal: boolean;
  readonly isHidden: boolean;
}

/** Everything that linking needs to know of an object. */
export interface LinkInput {
  readonly elf: ElfFile;
  /** Code by section, CO-RE relocations applied. */
  readonly code: ReadonlyMap<number, Uint8Array>;
  readonly functions: readonly FunctionSymbol[];
  readonly maps: readonly PlacedMap[];
  readonly ext: BtfExt | null;
}

/** All functions of the sections of code. */
export function findFunctions(
  elf: ElfFile,
  code: ReadonlyMap<number, Uint8Array>,
): FunctionSymbol[] {
  const found: FunctionSymbol[] = [];
  for (const symbol of elf.symbols) {
    const bytes = code.get(symbol.section);
    if (symbol.type !== SymbolType.FUNCTION || bytes === undefined) continue;
    const { name, section, value: at, sizeBytes } = symbol;
    const isWhole = at % INSTRUCTION_BYTES === 0 && sizeBytes % INSTRUCTION_BYTES === 0;
    if (sizeBytes === 0 || !isWhole || at + sizeBytes > bytes.length) {
      throw badObject(
        `the function ${name} (bytes ${at} to ${at + sizeBytes}) is not inside its section`,
      );
    }
    found.push({
      name,
      section,
      at,
      sizeBytes,
      isGlobal: symbol.binding !== SymbolBinding.LOCAL,
      isHidden: symbol.isHidden,
    });
  }
  return found;
}

/** Throws `EbpfError`: ENOEXEC when the object is broken, ENOTSUP for what this engine has not. */
export function link(entry: FunctionSymbol, input: LinkInput): LinkedProgram {
  return new Linker(input).run(entry);
}

interface Placed {
  readonly symbol: FunctionSymbol;
  readonly word: number;
}

class Linker {
  private readonly input: LinkInput;
  private readonly placed = new Map<FunctionSymbol, Placed>();
  private readonly queue: Placed[] = [];
  private readonly maps: MapReference[] = [];
  private readonly calls: { at: number; to: FunctionSymbol }[] = [];
  private words = 0;

  constructor(input: LinkInput) {
    this.input = input;
  }

  run(entry: FunctionSymbol): LinkedProgram {
    this.place(entry);
    const parts: Uint8Array[] = [];
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      parts.push(this.take(next));
    }
    const code = new Uint8Array(Buffer.concat(parts));
    const view = new DataView(code.buffer);
    for (const { at, to } of this.calls) {
      view.setInt32(at + 4, this.placed.get(to)!.word - at / INSTRUCTION_BYTES - 1, true);
    }
    const functions = [...this.placed.values()].map(({ symbol, word }) => ({
      name: symbol.name,
      at: word * INSTRUCTION_BYTES,
      isGlobal: symbol.isGlobal && !symbol.isHidden,
    }));
    return { code, maps: this.maps, functions, lines: this.lines() };
  }

  private place(symbol: FunctionSymbol): void {
    if (this.placed.has(symbol)) return;
    const placed = { symbol, word: this.words };
    this.words += symbol.sizeBytes / INSTRUCTION_BYTES;
    if (this.words > MAX_WORDS)
      throw badObject(`${symbol.name}: more than ${MAX_WORDS} instructions`);
    this.placed.set(symbol, placed);
    this.queue.push(placed);
  }

  /** A copy of the function's code, references noted. */
  private take({ symbol, word }: Placed): Uint8Array {
    const { at: from, section, sizeBytes } = symbol;
    const code = this.input.code.get(section)!.slice(from, from + sizeBytes);
    const view = new DataView(code.buffer);
    const relocations = this.input.elf.relocations.get(section) ?? [];
    const byPlace = new Map(relocations.map((relocation) => [relocation.at, relocation]));
    for (let at = 0; at < sizeBytes; at += INSTRUCTION_BYTES) {
      const opcode = view.getUint8(at);
      const relocation = byPlace.get(from + at);
      const here = { view, at, base: word * INSTRUCTION_BYTES, symbol };
      if (opcode === LDDW) {
        if (at + 2 * INSTRUCTION_BYTES > sizeBytes)
          throw badObject(`${symbol.name} ends inside a lddw`);
        if (relocation !== undefined) this.takeConstant(here, relocation);
        at += INSTRUCTION_BYTES;
      } else if (opcode === (Class.JMP | Jmp.CALL)) {
        this.takeCall(here, relocation);
      } else if (relocation !== undefined) {
        throw badObject(
          `${symbol.name}: a relocation of an instruction without a constant (byte ${at})`,
        );
      }
    }
    return code;
  }

  private takeCall({ view, at, base, symbol }: Here, relocation: ElfRelocation | undefined): void {
    const kind = view.getUint8(at + 1) >> 4;
    const distance = (view.getInt32(at + 4, true) + 1) * INSTRUCTION_BYTES;
    if (relocation === undefined) {
      if (kind !== CallKind.LOCAL) return;
      this.note(base + at, this.functionAt(symbol.section, symbol.at + at + distance, symbol.name));
      return;
    }
    if (relocation.type !== RELOCATION_CALL) {
      throw badObject(`${symbol.name}: a call with a relocation of type ${relocation.type}`);
    }
    const to = relocation.symbol;
    if (to.section === 0) {
      const number = KERNEL_FUNCTIONS.get(to.name);
      if (number === undefined) throw unknownFunction(symbol, to);
      view.setUint8(at + 1, CallKind.BTF << 4);
      view.setInt32(at + 4, number, true);
      return;
    }
    // A section's symbol has the distance from its start in the instruction, any other has -1.
    const at2 = to.type === SymbolType.SECTION ? distance : to.value;
    view.setUint8(at + 1, CallKind.LOCAL << 4);
    this.note(base + at, this.functionAt(to.section, at2, symbol.name));
  }

  private note(at: number, to: FunctionSymbol): void {
    this.place(to);
    this.calls.push({ at, to });
  }

  private takeConstant({ view, at, base, symbol }: Here, relocation: ElfRelocation): void {
    const to = relocation.symbol;
    if (relocation.type !== RELOCATION_CONSTANT) {
      throw badObject(`${symbol.name}: a lddw with a relocation of type ${relocation.type}`);
    }
    if (to.section === 0) {
      this.takeExtern(view, at, to, symbol);
      return;
    }
    const offset = to.value + (to.type === SymbolType.SECTION ? view.getInt32(at + 4, true) : 0);
    const dst = view.getUint8(at + 1) & 15;
    const mark = (kind: number, imm: number, immHigh: number): void => {
      view.setUint8(at + 1, (kind << 4) | dst);
      view.setInt32(at + 4, imm, true);
      view.setInt32(at + INSTRUCTION_BYTES + 4, immHigh, true);
    };
    if (this.input.code.has(to.section)) {
      mark(WideKind.CODE, 0, 0);
      this.note(base + at, this.functionAt(to.section, offset, symbol.name));
      return;
    }
    const section = this.input.elf.sections[to.section];
    const isVariable = section !== undefined && isVariables(section.name);
    const map = this.input.maps.find(
      (placed) => placed.section === to.section && (isVariable || placed.at === offset),
    );
    if (map === undefined) {
      throw badObject(
        `${symbol.name} refers to ${to.name || "?"} in section ${section?.name ?? to.section}, which is neither a map nor a variable`,
      );
    }
    const addend = to.type === SymbolType.SECTION ? 0 : view.getInt32(at + 4, true);
    if (isVariable) mark(WideKind.MAP_FD_VALUE, 0, offset + addend);
    else mark(WideKind.MAP_FD, 0, 0);
    this.maps.push({ at: base + at, map: map.definition.name });
  }

  /** Variables of the kernel: a weak one that is not there is 0. */
  private takeExtern(view: DataView, at: number, to: ElfSymbol, symbol: FunctionSymbol): void {
    if (to.binding !== SymbolBinding.WEAK) {
      throw new EbpfError(
        "ENOTSUP",
        `${symbol.name} reads ${to.name}, a variable of the kernel: these are not supported`,
      );
    }
    view.setInt32(at + 4, 0, true);
    view.setInt32(at + INSTRUCTION_BYTES + 4, 0, true);
  }

  private functionAt(section: number, at: number, from: string): FunctionSymbol {
    const found = this.input.functions.find((f) => f.section === section && f.at === at);
    if (found !== undefined) return found;
    throw badObject(`${from} calls byte ${at} of section ${section}, where no function starts`);
  }

  private lines(): SourceLine[] {
    const { ext, elf } = this.input;
    if (ext === null) return [];
    const found: SourceLine[] = [];
    for (const { symbol, word } of this.placed.values()) {
      const end = symbol.at + symbol.sizeBytes;
      for (const line of ext.lines.get(elf.sections[symbol.section]!.name) ?? []) {
        if (line.at < symbol.at || line.at >= end) continue;
        found.push({ ...line, at: line.at - symbol.at + word * INSTRUCTION_BYTES });
      }
    }
    return found.sort((a, b) => a.at - b.at);
  }
}

function unknownFunction(symbol: FunctionSymbol, to: ElfSymbol): EbpfError {
  const known = [...KERNEL_FUNCTIONS.keys()].join(", ");
  const what = `${symbol.name} calls ${to.name}, a function of the kernel`;
  return new EbpfError("ENOTSUP", `${what}; of these there are ${known}`);
}

/** The instruction at hand: its place in the function's code, and where that begins in the program. */
interface Here {
  readonly view: DataView;
  readonly at: number;
  readonly base: number;
  readonly symbol: FunctionSymbol;
}
