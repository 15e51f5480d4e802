/** What is wrong with a file that a person wrote: every mistake with its place and what was expected. */

export interface Problem {
  /** Both from 1; columns count UTF-16 units. */
  readonly line: number;
  readonly column: number;
  /** `expected a port …; got "90000"`. */
  readonly text: string;
}

/** The message has a line `file:line:column: text` for each mistake. */
export class PlacedError extends Error {
  override readonly name: string = "PlacedError";
  readonly file: string;
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map((p) => `${file}:${p.line}:${p.column}: ${p.text}`).join("\n"));
    this.file = file;
    this.problems = problems;
  }
}
