/** What an engine tells its user beside answers: each kind of trouble once in a while, and counted. */

/** `event`: a word for programs; `text`: a sentence for people. */
export type Tell = (event: string, text: string) => void;

const AGAIN_US = 60_000_000;

export class Troubles {
  private readonly tell: Tell;
  private readonly nextUs = new Map<string, number>();
  /** How often each happened. */
  readonly counts: Record<string, number> = {};

  constructor(tell: Tell) {
    this.tell = tell;
  }

  happened(event: string, nowUs: number, text: string): void {
    this.counts[event] = (this.counts[event] ?? 0) + 1;
    if (nowUs < (this.nextUs.get(event) ?? 0)) return;
    this.nextUs.set(event, nowUs + AGAIN_US);
    this.tell(event, text);
  }
}
