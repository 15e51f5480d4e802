/**
 * Writes WebAssembly modules (WebAssembly core specification 1.0, §5 binary format): bytes of code with
 * the instructions that the compilers here need, and the sections of a module around it.
 */

export const I32 = 0x7f;
export const I64 = 0x7e;
/** Of blocks: no result. */
export const NO_RESULT = 0x40;

/** Opcodes, by their names in the text format. */
export const Wasm = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  br_if: 0x0d,
  br_table: 0x0e,
  return: 0x0f,
  call: 0x10,
  drop: 0x1a,
  select: 0x1b,
  local_get: 0x20,
  local_set: 0x21,
  local_tee: 0x22,
  i32_load: 0x28,
  i64_load: 0x29,
  i32_load8_u: 0x2d,
  i32_load16_u: 0x2f,
  i64_load8_s: 0x30,
  i64_load8_u: 0x31,
  i64_load16_s: 0x32,
  i64_load16_u: 0x33,
  i64_load32_s: 0x34,
  i64_load32_u: 0x35,
  i32_store: 0x36,
  i64_store: 0x37,
  i32_store8: 0x3a,
  i32_store16: 0x3b,
  i64_store8: 0x3c,
  i64_store16: 0x3d,
  i64_store32: 0x3e,
  i32_const: 0x41,
  i64_const: 0x42,
  i32_eqz: 0x45,
  i32_eq: 0x46,
  i32_ne: 0x47,
  i32_lt_s: 0x48,
  i32_lt_u: 0x49,
  i32_gt_s: 0x4a,
  i32_gt_u: 0x4b,
  i32_le_s: 0x4c,
  i32_le_u: 0x4d,
  i32_ge_s: 0x4e,
  i32_ge_u: 0x4f,
  i64_eqz: 0x50,
  i64_eq: 0x51,
  i64_ne: 0x52,
  i64_lt_s: 0x53,
  i64_lt_u: 0x54,
  i64_gt_s: 0x55,
  i64_gt_u: 0x56,
  i64_le_s: 0x57,
  i64_le_u: 0x58,
  i64_ge_s: 0x59,
  i64_ge_u: 0x5a,
  i32_add: 0x6a,
  i32_sub: 0x6b,
  i32_mul: 0x6c,
  i32_div_s: 0x6d,
  i32_div_u: 0x6e,
  i32_rem_s: 0x6f,
  i32_rem_u: 0x70,
  i32_and: 0x71,
  i32_or: 0x72,
  i32_xor: 0x73,
  i32_shl: 0x74,
  i32_shr_s: 0x75,
  i32_shr_u: 0x76,
  i32_rotl: 0x77,
  i32_rotr: 0x78,
  i64_add: 0x7c,
  i64_sub: 0x7d,
  i64_mul: 0x7e,
  i64_div_s: 0x7f,
  i64_div_u: 0x80,
  i64_rem_s: 0x81,
  i64_rem_u: 0x82,
  i64_and: 0x83,
  i64_or: 0x84,
  i64_xor: 0x85,
  i64_shl: 0x86,
  i64_shr_s: 0x87,
  i64_shr_u: 0x88,
  i32_wrap_i64: 0xa7,
  i64_extend_i32_s: 0xac,
  i64_extend_i32_u: 0xad,
  i64_extend8_s: 0xc2,
  i64_extend16_s: 0xc3,
  i64_extend32_s: 0xc4,
} as const;

/** Bytes of a function or section, growing. */
export class WasmBytes {
  private bytes = new Uint8Array(256);
  length = 0;

  byte(value: number): this {
    if (this.length === this.bytes.length) this.grow(1);
    this.bytes[this.length++] = value;
    return this;
  }

  /** Several opcodes without operands. */
  ops(...opcodes: number[]): this {
    for (const opcode of opcodes) this.byte(opcode);
    return this;
  }

  /** LEB128, unsigned. */
  unsigned(value: number): this {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.byte(rest);
  }

  i32Const(value: number): this {
    this.byte(Wasm.i32_const);
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    return this.byte(rest & 0x7f);
  }

  /** A constant of two words. */
  i64Const(low: number, high: number): this {
    this.byte(Wasm.i64_const);
    let [l, h] = [low | 0, high | 0];
    while (h !== l >> 31 || l < -64 || l > 63) {
      this.byte((l & 0x7f) | 0x80);
      l = (l >>> 7) | (h << 25);
      h >>= 7;
    }
    return this.byte(l & 0x7f);
  }

  get(local: number): this {
    return this.byte(Wasm.local_get).unsigned(local);
  }

  set(local: number): this {
    return this.byte(Wasm.local_set).unsigned(local);
  }

  tee(local: number): this {
    return this.byte(Wasm.local_tee).unsigned(local);
  }

  call(index: number): this {
    return this.byte(Wasm.call).unsigned(index);
  }

  /** A load or store, of any alignment. */
  memory(opcode: number, offset: number): this {
    return this.byte(opcode).byte(0).unsigned(offset);
  }

  append(other: WasmBytes): this {
    if (this.length + other.length > this.bytes.length) this.grow(other.length);
    this.bytes.set(other.bytes.subarray(0, other.length), this.length);
    this.length += other.length;
    return this;
  }

  name(text: string): this {
    this.unsigned(text.length);
    for (const letter of text) this.byte(letter.charCodeAt(0));
    return this;
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length);
  }

  private grow(needed: number): void {
    const larger = new Uint8Array((this.bytes.length + needed) * 2);
    larger.set(this.bytes);
    this.bytes = larger;
  }
}

interface FunctionBody {
  readonly type: number;
  /** Types of locals after the parameters. */
  readonly locals: readonly number[];
  readonly code: WasmBytes;
}

/** A module that imports one memory and functions, and exports functions. */
export class WasmModule {
  private readonly types: string[] = [];
  private readonly typeBytes: WasmBytes[] = [];
  private readonly imports: { name: string; type: number }[] = [];
  private readonly functions: FunctionBody[] = [];
  private readonly exports: { name: string; index: number }[] = [];

  /** A function's index comes after all imports: import first. */
  importFunction(name: string, parameters: readonly number[], results: readonly number[]): number {
    const known = this.imports.findIndex((one) => one.name === name);
    if (known >= 0) return known;
    this.imports.push({ name, type: this.type(parameters, results) });
    return this.imports.length - 1;
  }

  addFunction(
    parameters: readonly number[],
    results: readonly number[],
    locals: readonly number[],
    code: WasmBytes,
  ): void {
    this.functions.push({ type: this.type(parameters, results), locals, code });
  }

  exportFunction(name: string, index: number): void {
    this.exports.push({ name, index });
  }

  get importCount(): number {
    return this.imports.length;
  }

  private type(parameters: readonly number[], results: readonly number[]): number {
    const key = `${parameters}:${results}`;
    const known = this.types.indexOf(key);
    if (known >= 0) return known;
    const bytes = new WasmBytes()
      .byte(0x60)
      .unsigned(parameters.length)
      .ops(...parameters);
    bytes.unsigned(results.length).ops(...results);
    this.types.push(key);
    this.typeBytes.push(bytes);
    return this.types.length - 1;
  }

  /** The whole module; `isShared`: the kind of memory that it is given. */
  finish(isShared: boolean, memoryPages: number): Uint8Array<ArrayBuffer> {
    const out = new WasmBytes().ops(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    section(out, 1, this.typeBytes);
    const imports = this.imports.map(({ name, type }) =>
      new WasmBytes().name("f").name(name).byte(0).unsigned(type),
    );
    const memory = new WasmBytes().name("m").name("m").byte(2);
    if (isShared) memory.byte(3).unsigned(1).unsigned(memoryPages);
    else memory.byte(0).unsigned(1);
    section(out, 2, [...imports, memory]);
    section(
      out,
      3,
      this.functions.map(({ type }) => new WasmBytes().unsigned(type)),
    );
    section(
      out,
      7,
      this.exports.map(({ name, index }) => new WasmBytes().name(name).byte(0).unsigned(index)),
    );
    section(out, 10, this.functions.map(writeBody));
    return out.take();
  }
}

function section(out: WasmBytes, id: number, entries: readonly WasmBytes[]): void {
  const body = new WasmBytes().unsigned(entries.length);
  for (const entry of entries) body.append(entry);
  out.byte(id).unsigned(body.length).append(body);
}

function writeBody({ locals, code }: FunctionBody): WasmBytes {
  const body = new WasmBytes().unsigned(locals.length);
  for (const type of locals) body.unsigned(1).byte(type);
  body.append(code).byte(Wasm.end);
  return new WasmBytes().unsigned(body.length).append(body);
}
