/**
 * Cuts a byte stream into messages: bytes are received behind `end`, whole messages are taken from
 * `from` on. Nothing is copied but a cut message, when it would not fit behind what is there.
 */
import { EPROTO } from "../../base/errno.js";
import { check, HEADER_BYTES, lengthBytes, MAX_BYTES } from "./message.js";

/** Room for a whole message behind the largest cut one, and then for many. */
const BUFFER_BYTES = 4 * (MAX_BYTES + 1);

export class StreamBuffer {
  readonly bytes: Uint8Array = new Uint8Array(BUFFER_BYTES);
  /** Where the next bytes are received to, and how many fit. */
  end = 0;
  private from = 0;

  get roomBytes(): number {
    return this.bytes.length - this.end;
  }

  /** `n` bytes were received behind `end`. */
  added(n: number): void {
    this.end += n;
  }

  /** Hot path. Where the next whole message lies; -1 when there is none, -EPROTO when it is no message. */
  next(): number {
    const { bytes, from } = this;
    const held = this.end - from;
    if (held < HEADER_BYTES) return this.more();
    if (!check(bytes, from, held)) return -EPROTO;
    const length = lengthBytes(bytes, from);
    if (held < length) return this.more();
    this.from = from + length;
    return from;
  }

  /** No whole message: makes room for the rest of the cut one. */
  private more(): number {
    if (this.from === this.end) {
      this.from = 0;
      this.end = 0;
    } else if (this.roomBytes < MAX_BYTES) {
      this.bytes.copyWithin(0, this.from, this.end);
      this.end -= this.from;
      this.from = 0;
    }
    return -1;
  }
}
