/**
 * Programs as text: LLVM's syntax (`r1 += 2`, asm-llvm.ts) and names (`add r1, 2`, mnemonics.ts), line by line,
 * mixed as one likes. What the disassembler writes, its line numbers included, is read.
 *
 *     .license GPL
 *     .map blocked hash 4 8 1024      ; name, type, bytes of key and value, entries
 *     start:
 *       r2 = *(u32 *)(r1 + 0)
 *       lddw r1, blocked              ; or: r1 = blocked ll
 *       if r2 == 0 goto start         ; jeq r2, 0, start
 *       call map_lookup_elem          ; or a label: then it is a function of the program
 *
 * `;`, `//` and, behind a space, `#` begin a comment.
 */
import { PlacedError, type Problem } from "../base/placed-error.js";
import { Assembler } from "./asm.js";
import { readLlvm } from "./asm-llvm.js";
import { type Statement, StatementError } from "./asm-statement.js";
import { CallKind, Class, INSTRUCTION_BYTES, Jmp, LDDW } from "./isa.js";
import type { MapDefinition } from "./map-definition.js";
import { MapType } from "./map-type.js";
import { readMnemonic } from "./mnemonics.js";
import type { BpfObject } from "./object.js";

/** An object with one program, `main`, in section xdp. Throws `PlacedError` with every mistake. */
export function assembleText(text: string, source = "program"): BpfObject {
  return new TextAssembler(source).run(text);
}

class TextAssembler {
  private readonly source: string;
  private readonly a = new Assembler();
  private readonly problems: Problem[] = [];
  private readonly maps: MapDefinition[] = [];
  private readonly labels = new Map<string, number>();
  private readonly used: {
    readonly name: string;
    readonly line: number;
    readonly column: number;
  }[] = [];
  private readonly functions = new Set<string>();
  private license = "";
  private line = 0;

  constructor(source: string) {
    this.source = source;
  }

  run(text: string): BpfObject {
    for (const line of text.split("\n")) {
      this.line++;
      this.readLine(line.replace(/(^|\s)#.*|;.*|\/\/.*/, ""));
    }
    for (const { name, line, column } of this.used) {
      if (!this.labels.has(name)) this.problem(column, `there is no label ${name}`, line);
    }
    if (this.problems.length > 0) throw new PlacedError(this.source, this.problems);
    return this.finish();
  }

  private problem(column: number, text: string, line = this.line): void {
    this.problems.push({ line, column, text });
  }

  private readLine(line: string): void {
    const column = line.search(/\S/) + 1;
    let rest = line.trim();
    const label = /^([A-Za-z_.$][\w.$]*)\s*:(?!\S)\s*/.exec(rest);
    if (label !== null) {
      this.addLabel(label[1]!, column);
      rest = rest.slice(label[0].length);
    }
    rest = rest.replace(/^\d+:\s+/, "");
    if (rest === "") return;
    const at = line.length - line.trimEnd().length;
    const start = line.length - at - rest.length + 1;
    if (/^\.(map|license)\b/.test(rest)) this.readDirective(rest, start);
    else this.readStatement(rest, start);
  }

  private addLabel(name: string, column: number): void {
    if (this.labels.has(name)) {
      this.problem(column, `the label ${name} is in line ${this.labels.get(name)}, too`);
      return;
    }
    this.labels.set(name, this.line);
    this.a.label(name);
  }

  private readDirective(text: string, column: number): void {
    const license = /^\.license\s+"?([^"]+?)"?$/.exec(text);
    if (license !== null) {
      this.license = license[1]!;
      return;
    }
    const map = /^\.map\s+(\S+)\s+(\w+)\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})$/.exec(text);
    const type = map === null ? undefined : MapType[map[2]!.toUpperCase() as keyof typeof MapType];
    if (map === null || type === undefined) {
      const kinds = Object.keys(MapType).join(", ").toLowerCase();
      this.problem(
        column,
        `expected .license TEXT, or .map NAME TYPE KEYBYTES VALUEBYTES ENTRIES with a type of ${kinds}; got ${text}`,
      );
      return;
    }
    this.maps.push({
      name: map[1]!,
      type,
      keyBytes: Number(map[3]),
      valueBytes: Number(map[4]),
      maxEntries: Number(map[5]),
      flags: type === MapType.LPM_TRIE ? 1 : 0,
      inner: null,
      initial: null,
      entries: [],
      keyType: 0,
      valueType: 0,
    });
  }

  private readStatement(text: string, column: number): void {
    let read: Statement | null;
    try {
      read = readBytes(text) ?? readLlvm(text) ?? readMnemonic(text);
    } catch (error) {
      if (!(error instanceof StatementError)) throw error;
      this.problem(column, error.message);
      return;
    }
    if (read === null) {
      this.problem(column, `expected an instruction such as r1 += 2 or add r1, 2; got ${text}`);
      return;
    }
    this.emit(read, column);
  }

  private emit({ instruction, target, map }: Statement, column: number): void {
    if (map !== null && !this.maps.some(({ name }) => name === map)) {
      const names = this.maps.map(({ name }) => name).join(", ") || "none";
      this.problem(column, `there is no map ${map} before this line; there are: ${names}`);
      return;
    }
    if (target !== null) this.used.push({ name: target, line: this.line, column });
    const isCall = instruction.opcode === (Class.JMP | Jmp.CALL);
    if (isCall && instruction.src === CallKind.LOCAL && target !== null) this.functions.add(target);
    this.a.place(instruction, target, map);
  }

  private finish(): BpfObject {
    let assembled: ReturnType<Assembler["assemble"]>;
    try {
      assembled = this.a.assemble();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new PlacedError(this.source, [{ line: this.line, column: 1, text: error.message }]);
    }
    const { code, maps, labels } = assembled;
    const functions = [{ name: "main", at: 0 }, ...this.functionsOf(code, labels)];
    const program = {
      name: "main",
      section: "xdp",
      problem: null,
      code,
      maps,
      functions,
      lines: [],
    };
    return { programs: [program], maps: this.maps, license: this.license, btf: null };
  }

  /** Where local calls lead, by label or by distance. */
  private functionsOf(
    code: Uint8Array,
    labels: ReadonlyMap<string, number>,
  ): { readonly name: string; readonly at: number }[] {
    const names = new Map([...this.functions].map((name) => [labels.get(name)!, name]));
    const view = new DataView(code.buffer);
    const found = new Map<number, string>();
    for (let at = 0; at < code.length; at += INSTRUCTION_BYTES) {
      if (code[at] === LDDW) at += INSTRUCTION_BYTES;
      else if (code[at] === (Class.JMP | Jmp.CALL) && code[at + 1]! >> 4 === CallKind.LOCAL) {
        const to = at + INSTRUCTION_BYTES * (1 + view.getInt32(at + 4, true));
        found.set(to, names.get(to) ?? `f${to / INSTRUCTION_BYTES}`);
      }
    }
    found.delete(0);
    return [...found].sort(([a], [b]) => a - b).map(([at, name]) => ({ name, at }));
  }
}

/** What the disassembler writes of what is no instruction: its bytes. */
function readBytes(text: string): Statement | null {
  const match = /^unknown ([0-9a-f]{16})$/.exec(text);
  if (match === null) return null;
  const bytes = Buffer.from(match[1]!, "hex");
  if (bytes[0] === LDDW) throw new StatementError("half of a lddw has no bytes of its own");
  const instruction = {
    opcode: bytes[0]!,
    dst: bytes[1]! & 15,
    src: bytes[1]! >> 4,
    offset: bytes.readInt16LE(2),
    imm: bytes.readInt32LE(4),
    immHigh: 0,
  };
  return { instruction, target: null, map: null };
}
