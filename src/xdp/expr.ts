/**
 * Expressions over the state that a packet meets: what a tracer knows of every register and byte instead of
 * their values. A node is a number; equal expressions are the same node (hash-consing), also those of
 * different traces of one program, so conditions are compared by comparing numbers.
 *
 * Every value has 64 bits, unsigned, as registers have. There are no operations of 32 bits: `w1 += w2` is
 * AND(ADD(r1, r2), 0xffffffff). Comparisons give 0 or 1. Addresses are sums; what they are relative to is in
 * them: {@link Ex.PACKET} for the packet, a {@link Ex.LOOKUP} or a constant for values of maps.
 *
 * All leaves are of the INITIAL state: the packet, context and maps as they were when the packet came. What a
 * trace itself stored is never read back through a leaf (the tracer forwards stores). The exceptions are
 * {@link Ex.RESULT} and {@link Ex.FILLED}, which stand for what a call gave.
 *
 * Nodes are columns of typed arrays; `build.ts` makes them, simplified.
 */
export const Ex = {
  /** low, high: the two words of the number. */
  CONST: 0,
  /** Address of the packet's first byte, as it came. */
  PACKET: 1,
  /** Bytes of the packet, as it came. */
  LENGTH: 2,
  /** Bytes between the frame's start and the packet. */
  HEADROOM: 3,
  /** Bytes between the packet's end and the frame's. */
  TAILROOM: 4,
  /** A word of the context; low: its offset in `struct xdp_md`. */
  CONTEXT: 5,
  /** What is sampled once per packet; low: one of {@link Input}. */
  INPUT: 6,
  /** Bytes of the packet as it came, little endian. Offset: a (or NONE) + low. high: 1, 2, 4 or 8. */
  LOAD: 7,
  /** Bytes of a map's value, likewise. Address: a (or NONE) + low. high: size. b: the map's index. */
  MAP_LOAD: 8,
  /** Address of the value of a key; 0: there is none. a: KEY. low: the map's index. high: one of {@link Use}. */
  LOOKUP: 9,
  /** A key, in parts: a: the first one, low: its bytes (1, 2, 4, 8), b: the KEY of the rest, or NONE. */
  KEY: 10,
  /** What a call gave in r0. low: its ordinal among the trace's calls, high: the helper's number. */
  RESULT: 11,
  /** Bytes that a call wrote to the stack. b: its ordinal, low: their address, high: size. */
  FILLED: 12,
  /** How many keys a map has (low: its index) : whether an update would find room. */
  COUNT: 13,

  ADD: 16,
  SUB: 17,
  MUL: 18,
  /** By RFC 9669: x / 0 = 0 and x % 0 = x. */
  DIV: 19,
  MOD: 20,
  SDIV: 21,
  SMOD: 22,
  AND: 23,
  OR: 24,
  XOR: 25,
  /** Shifts take the low 6 bits of b. */
  SHL: 26,
  SHR: 27,
  SAR: 28,
  /** Sign extension of the low 8, 16, 32 bits. */
  SEXT8: 29,
  SEXT16: 30,
  SEXT32: 31,
  /** Of the low 16, 32, 64 bits; the others become 0. */
  SWAP16: 32,
  SWAP32: 33,
  SWAP64: 34,

  /** Comparisons: 0 or 1. */
  EQ: 40,
  LTU: 41,
  LTS: 42,
} as const;

export type ExOp = (typeof Ex)[keyof typeof Ex];

/** No node. */
export const NONE = -1;

export const Input = {
  /** Nanoseconds, all clocks of the kernel being one here. */
  TIME: 0,
  CPU: 1,
} as const;

/** Whether a lookup counts as a use of its entry, where maps note that. */
export const Use = {
  COUNTS: 0,
  /** It asks for the trace's own sake: whether an update would find its key. */
  PEEK: 1,
} as const;

export const FIRST_BINARY: number = Ex.ADD;
export const isComparison = (op: number): boolean => op >= Ex.EQ;
/** Has two operands that are nodes. */
export const isBinary = (op: number): boolean => (op >= Ex.ADD && op <= Ex.SAR) || isComparison(op);
/** Has one operand that is a node and no numbers. */
export const isUnary = (op: number): boolean => op >= Ex.SEXT8 && op <= Ex.SWAP64;

export const ALL_BITS = 0xffff_ffff_ffff_ffffn;
const FIRST_NODES = 1024;
/** A program with more has loops over payload: nobody wants more of its traces. */
export const MAX_NODES = 1 << 20;

/** A growing table of nodes, in which every expression is once. */
export class Expressions {
  op = new Uint8Array(FIRST_NODES);
  a = new Int32Array(FIRST_NODES);
  b = new Int32Array(FIRST_NODES);
  low = new Int32Array(FIRST_NODES);
  high = new Int32Array(FIRST_NODES);
  /** Bits of the value that may be 1, whatever the packet. */
  may = new BigUint64Array(FIRST_NODES);
  count = 0;
  private table = new Int32Array(FIRST_NODES * 2).fill(NONE);

  /** The node of these columns; made when there is none. No simplification: see `build.ts`. */
  node(op: number, a: number, b: number, low: number, high: number): number {
    let slot = hash(op, a, b, low, high) & (this.table.length - 1);
    for (;;) {
      const found = this.table[slot]!;
      if (found === NONE) break;
      if (
        this.op[found] === op &&
        this.a[found] === a &&
        this.b[found] === b &&
        this.low[found] === low &&
        this.high[found] === high
      ) {
        return found;
      }
      slot = (slot + 1) & (this.table.length - 1);
    }
    return this.add(slot, op, a, b, low, high);
  }

  constant(value: bigint): number {
    const low = Number(BigInt.asIntN(32, value));
    return this.node(Ex.CONST, NONE, NONE, low, Number(BigInt.asIntN(32, value >> 32n)));
  }

  isConstant(node: number): boolean {
    return this.op[node] === Ex.CONST;
  }

  /** The number that a CONST is, 0 to 2^64 - 1. */
  valueOf(node: number): bigint {
    return (BigInt(this.high[node]! >>> 0) << 32n) | BigInt(this.low[node]! >>> 0);
  }

  /** There is no room for another trace. */
  get isFull(): boolean {
    return this.count > MAX_NODES;
  }

  /** Forgets all but the first `count` nodes, which must not be made of others; see `Builder.truncate`. */
  truncate(count: number): void {
    this.count = count;
    this.table.fill(NONE);
    this.placeAll();
  }

  /** Nodes that a node is made of. */
  operands(node: number): number[] {
    const op = this.op[node]!;
    if (op === Ex.CONST || op === Ex.RESULT || op === Ex.FILLED) return [];
    const found: number[] = [];
    if (this.a[node] !== NONE) found.push(this.a[node]!);
    const isNode = isBinary(op) || op === Ex.KEY;
    if (isNode && this.b[node] !== NONE) found.push(this.b[node]!);
    return found;
  }

  private add(slot: number, op: number, a: number, b: number, low: number, high: number): number {
    if (this.count === this.op.length) this.grow();
    const node = this.count++;
    this.op[node] = op;
    this.a[node] = a;
    this.b[node] = b;
    this.low[node] = low;
    this.high[node] = high;
    this.may[node] = mayBits(this, node);
    if (this.count * 2 > this.table.length) this.rehash();
    else this.table[slot] = node;
    return node;
  }

  private grow(): void {
    const size = this.op.length * 2;
    const words = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const larger = new Int32Array(size);
      larger.set(old);
      return larger;
    };
    const op = new Uint8Array(size);
    op.set(this.op);
    const may = new BigUint64Array(size);
    may.set(this.may);
    [this.op, this.may] = [op, may];
    [this.a, this.b] = [words(this.a), words(this.b)];
    [this.low, this.high] = [words(this.low), words(this.high)];
  }

  private rehash(): void {
    this.table = new Int32Array(this.table.length * 2).fill(NONE);
    this.placeAll();
  }

  private placeAll(): void {
    const mask = this.table.length - 1;
    for (let n = 0; n < this.count; n++) {
      let slot = hash(this.op[n]!, this.a[n]!, this.b[n]!, this.low[n]!, this.high[n]!) & mask;
      while (this.table[slot] !== NONE) slot = (slot + 1) & mask;
      this.table[slot] = n;
    }
  }
}

function hash(op: number, a: number, b: number, low: number, high: number): number {
  let h = Math.imul(op + 1, 0x9e3779b1) ^ Math.imul(a, 0x85ebca6b) ^ Math.imul(b, 0xc2b2ae35);
  h ^= Math.imul(low, 0x27d4eb2f) ^ Math.imul(high, 0x165667b1);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return h ^ (h >>> 13);
}

const WORD_BITS = 0xffff_ffffn;
const LENGTH_BITS = 0x7_ffffn;

/** Bits up to the highest one that is set. */
function below(bits: bigint): bigint {
  return bits === 0n ? 0n : (1n << BigInt(bits.toString(2).length)) - 1n;
}

function mayBits(e: Expressions, node: number): bigint {
  const op = e.op[node]!;
  const of = (operand: number): bigint => e.may[operand]!;
  const [a, b] = [e.a[node]!, e.b[node]!];
  switch (op) {
    case Ex.CONST:
      return e.valueOf(node);
    case Ex.LENGTH:
    case Ex.HEADROOM:
    case Ex.TAILROOM:
      return LENGTH_BITS;
    case Ex.PACKET:
    case Ex.LOOKUP:
    case Ex.CONTEXT:
    case Ex.COUNT:
      return WORD_BITS;
    case Ex.LOAD:
    case Ex.MAP_LOAD:
    case Ex.FILLED:
      return ALL_BITS >> BigInt(64 - 8 * e.high[node]!);
    case Ex.ADD: {
      // A sum needs one bit more than the larger operand.
      const most = below(of(a)) + below(of(b));
      return most > ALL_BITS ? ALL_BITS : below(most);
    }
    case Ex.MUL: {
      const most = below(of(a)) * below(of(b));
      return most > ALL_BITS ? ALL_BITS : below(most);
    }
    case Ex.DIV:
      return below(of(a));
    case Ex.MOD:
      return below(of(a));
    case Ex.AND:
      return of(a) & of(b);
    case Ex.OR:
    case Ex.XOR:
      return of(a) | of(b);
    case Ex.SHL:
      return e.isConstant(b) ? BigInt.asUintN(64, of(a) << (e.valueOf(b) & 63n)) : ALL_BITS;
    case Ex.SHR:
      return e.isConstant(b) ? of(a) >> (e.valueOf(b) & 63n) : below(of(a));
    case Ex.SWAP16:
      return 0xffffn;
    case Ex.SWAP32:
      return WORD_BITS;
    case Ex.EQ:
    case Ex.LTU:
    case Ex.LTS:
      return 1n;
    default:
      return ALL_BITS;
  }
}
