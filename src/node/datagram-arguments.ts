/** Arguments of `millrace/dgram`, checked as `dgram` checks them. */
import { EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { nodeError } from "./node-error.js";

/** What a datagram is made of. */
export type Data = string | NodeJS.ArrayBufferView;

/** All parts as one; throws `TypeError` ERR_INVALID_ARG_TYPE. */
export function bytesOf(data: Data | readonly Data[]): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (Array.isArray(data)) return Buffer.concat(data.map((d: Data) => bytesOf(d)));
  const expected = "must be of type string or an instance of Buffer, TypedArray, or DataView";
  throw nodeError("ERR_INVALID_ARG_TYPE", `The "buffer" argument ${expected}`, TypeError);
}

/** Part of the bytes; throws `RangeError` ERR_BUFFER_OUT_OF_BOUNDS. */
export function rangeOf(bytes: Uint8Array, at: number, n: number): Uint8Array {
  const isWithin = at >= 0 && n >= 0 && at + n <= bytes.length;
  if (isWithin) return bytes.subarray(at, at + n);
  const which = at > bytes.length ? "offset" : "length";
  const message = `"${which}" is outside of buffer bounds`;
  throw nodeError("ERR_BUFFER_OUT_OF_BOUNDS", message, RangeError);
}

/** Checks a TTL; throws `TypeError` ERR_INVALID_ARG_TYPE, or `NetError` EINVAL. */
export function hopsOf(ttl: unknown, least: number, syscall: string): void {
  if (typeof ttl !== "number") {
    const message = `The "ttl" argument must be of type number. Received type ${typeof ttl}`;
    throw nodeError("ERR_INVALID_ARG_TYPE", message, TypeError);
  }
  if (!(ttl >= least && ttl <= 255)) throw new NetError(EINVAL, { syscall });
}
