/** Numbers of 64 bits as BigInts, unsigned, with the meaning that RFC 9669 gives operations. */

export const signed = (x: bigint): bigint => BigInt.asIntN(64, x);

/** §4.1: x / 0 = 0. */
export function divide(a: bigint, b: bigint, isSigned: boolean): bigint {
  if (b === 0n) return 0n;
  return BigInt.asUintN(64, isSigned ? signed(a) / signed(b) : a / b);
}

/** §4.1: x % 0 = x. */
export function remainder(a: bigint, b: bigint, isSigned: boolean): bigint {
  if (b === 0n) return a;
  return BigInt.asUintN(64, isSigned ? signed(a) % signed(b) : a % b);
}

/** The low `bits` bits with their bytes the other way round. */
export function swap(x: bigint, bits: number): bigint {
  let result = 0n;
  for (let n = 0; n < bits; n += 8) result = (result << 8n) | ((x >> BigInt(n)) & 0xffn);
  return result;
}
