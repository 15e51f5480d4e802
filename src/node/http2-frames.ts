/**
 * Where to cut what an HTTP/2 session reads (RFC 9113 §4.1), so that ticks run between frames, as they do where the kernel's
 * handle calls Node: a stream must be told of before the reset behind it has destroyed it. A stream that is not
 * HTTP/2 from its first byte is not cut.
 */
const HEADER_BYTES = 9;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_BYTES = PREFACE.length;

const DATA = 0;
const SETTINGS = 4;
const WINDOW_UPDATE = 8;

export class Http2Frames {
  private readonly header = new Uint8Array(HEADER_BYTES);
  private headerBytes = 0;
  /** Of the frame after its header, or of the preface. */
  private leftBytes = 0;
  private isFirst = true;
  private isOff = false;
  /** Programs are told of the frame. */
  private isNews = false;

  /** Hot path. How many of the `n` bytes from `at` on to hand over at once: at least one. */
  cut(bytes: Uint8Array, at: number, n: number): number {
    if (this.isOff) return n;
    for (let i = 0; i < n; ) {
      if (this.leftBytes > 0) {
        const m = Math.min(this.leftBytes, n - i);
        i += m;
        this.leftBytes -= m;
        if (this.leftBytes === 0 && this.isNews) return i;
        continue;
      }
      const m = Math.min(HEADER_BYTES - this.headerBytes, n - i);
      for (let k = 0; k < m; k++) this.header[this.headerBytes + k] = bytes[at + i + k]!;
      this.headerBytes += m;
      if (this.headerBytes < HEADER_BYTES) return n;
      this.headerBytes = 0;
      this.readHeader();
      if (this.isOff) return n;
      // What came before it first; it is read again then.
      const before = i;
      i += m;
      if (this.isNews && before > 0) {
        this.headerBytes = HEADER_BYTES - m;
        this.leftBytes = 0;
        return before;
      }
      if (this.isNews && this.leftBytes === 0) return i;
    }
    return n;
  }

  private readHeader(): void {
    const [a = 0, b = 0, c = 0, type = 0] = this.header;
    const isFirst = this.isFirst;
    this.isFirst = false;
    this.isNews = type !== DATA && type !== WINDOW_UPDATE;
    this.leftBytes = a * 65_536 + b * 256 + c;
    if (!isFirst) return;
    if (this.isPreface()) {
      this.leftBytes = PREFACE_BYTES - HEADER_BYTES;
      this.isNews = false;
    } else this.isOff = type !== SETTINGS || this.header.subarray(4).some((byte) => byte !== 0);
  }

  private isPreface(): boolean {
    return this.header.every((byte, i) => byte === PREFACE.charCodeAt(i));
  }
}
