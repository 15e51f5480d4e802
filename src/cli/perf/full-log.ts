/** When every message was sent and its reply came, for `--csv`: 16 bytes a message while it runs. */

const CHUNK = 65_536;

export class FullLog {
  private readonly chunks: Float64Array[] = [];
  private count = 0;

  /** Hot path. The next message with a reply was sent. */
  sent(atMs: number): void {
    const place = this.count % CHUNK;
    if (place === 0) this.chunks.push(new Float64Array(2 * CHUNK));
    this.chunks.at(-1)![2 * place] = atMs;
    this.count++;
  }

  /** Hot path. The reply to the `n`th of them came. */
  received(n: number, atMs: number): void {
    const chunk = this.chunks[Math.floor(n / CHUNK)];
    if (chunk !== undefined) chunk[2 * (n % CHUNK) + 1] = atMs;
  }

  /**
   * Lines of text, sockperf's columns; a reply that did not come leaves the last two empty. Times are
   * seconds of the machine's monotonic clock after this process's start.
   */
  *lines(isFullRtt: boolean): Generator<string> {
    yield `packet, txTime(sec), rxTime(sec), ${isFullRtt ? "round-trip" : "latency"}(usec)\n`;
    for (let i = 0; i < this.count; i++) {
      const chunk = this.chunks[Math.floor(i / CHUNK)]!;
      const tx = chunk[2 * (i % CHUNK)]!;
      const rx = chunk[2 * (i % CHUNK) + 1]!;
      if (rx === 0) yield `${i}, ${(tx / 1e3).toFixed(9)}, ,\n`;
      else {
        const us = ((rx - tx) * 1e3) / (isFullRtt ? 1 : 2);
        yield `${i}, ${(tx / 1e3).toFixed(9)}, ${(rx / 1e3).toFixed(9)}, ${us.toFixed(3)}\n`;
      }
    }
  }
}
