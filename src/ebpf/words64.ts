/**
 * Arithmetic of 64 bits on an array of words, low half first: what does not fit on a line of the
 * interpreter. `d` is the place of the left operand, which gets the result.
 */

/** High 32 bits of the product of two unsigned words, by halves, so that all stays in int32. */
function highProduct(a: number, b: number): number {
  const lowHigh = Math.imul(a & 0xffff, b >>> 16);
  const highLow = Math.imul(a >>> 16, b & 0xffff);
  const lowLow = Math.imul(a & 0xffff, b & 0xffff);
  const middle = (lowLow >>> 16) + (lowHigh & 0xffff) + (highLow & 0xffff);
  const above = (lowHigh >>> 16) + (highLow >>> 16) + (middle >>> 16);
  return (Math.imul(a >>> 16, b >>> 16) + above) | 0;
}

export function multiply(r: Int32Array, d: number, low: number, high: number): void {
  const a = r[d]!;
  const ah = r[d + 1]!;
  r[d] = Math.imul(a, low);
  r[d + 1] = (highProduct(a, low) + Math.imul(ah, low) + Math.imul(a, high)) | 0;
}

const toBigInt = (low: number, high: number): bigint =>
  (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

function put(r: Int32Array, d: number, value: bigint): void {
  r[d] = Number(BigInt.asIntN(32, value));
  r[d + 1] = Number(BigInt.asIntN(32, value >> 32n));
}

/** RFC 9669 §4.1: division by zero gives zero. */
export function divide(r: Int32Array, d: number, low: number, high: number): void {
  if (high === 0 && r[d + 1] === 0) {
    r[d] = low === 0 ? 0 : ((r[d]! >>> 0) / (low >>> 0)) | 0;
    return;
  }
  const by = toBigInt(low, high);
  put(r, d, by === 0n ? 0n : toBigInt(r[d]!, r[d + 1]!) / by);
}

/** RFC 9669 §4.1: the remainder of division by zero is the left operand. */
export function remainder(r: Int32Array, d: number, low: number, high: number): void {
  if (low === 0 && high === 0) return;
  if (high === 0 && r[d + 1] === 0) {
    r[d] = ((r[d]! >>> 0) % (low >>> 0)) | 0;
    return;
  }
  put(r, d, toBigInt(r[d]!, r[d + 1]!) % toBigInt(low, high));
}

export function divideSigned(r: Int32Array, d: number, low: number, high: number): void {
  const by = BigInt.asIntN(64, toBigInt(low, high));
  const left = BigInt.asIntN(64, toBigInt(r[d]!, r[d + 1]!));
  put(r, d, by === 0n ? 0n : left / by);
}

export function remainderSigned(r: Int32Array, d: number, low: number, high: number): void {
  const by = BigInt.asIntN(64, toBigInt(low, high));
  if (by === 0n) return;
  put(r, d, BigInt.asIntN(64, toBigInt(r[d]!, r[d + 1]!)) % by);
}

/** Shifts by 1 to 63 bits. */
export function shiftLeft(r: Int32Array, d: number, bits: number): void {
  const low = r[d]!;
  if (bits >= 32) {
    r[d + 1] = low << (bits - 32);
    r[d] = 0;
  } else {
    r[d + 1] = (r[d + 1]! << bits) | (low >>> (32 - bits));
    r[d] = low << bits;
  }
}

export function shiftRight(r: Int32Array, d: number, bits: number): void {
  const high = r[d + 1]!;
  if (bits >= 32) {
    r[d] = high >>> (bits - 32);
    r[d + 1] = 0;
  } else {
    r[d] = (r[d]! >>> bits) | (high << (32 - bits));
    r[d + 1] = high >>> bits;
  }
}

export function shiftRightSigned(r: Int32Array, d: number, bits: number): void {
  const high = r[d + 1]!;
  if (bits >= 32) {
    r[d] = high >> (bits - 32);
    r[d + 1] = high >> 31;
  } else {
    r[d] = (r[d]! >>> bits) | (high << (32 - bits));
    r[d + 1] = high >> bits;
  }
}

export function swap32(x: number): number {
  return (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);
}
