/**
 * A thing to fuzz: one file a target under `targets/`, which exports it as `target`. Its seeds are
 * the files of `corpus/<name>/`: `*.hex` holds hexadecimal digits, any other file raw bytes.
 */
export interface Target {
  readonly name: string;
  /** One line for `--list`. */
  readonly summary: string;
  /** The target whose seeds this one uses too, when it has none of its own. */
  readonly corpus?: string;
  /** Inputs are cut to this. */
  readonly maxBytes: number;
  /**
   * Takes one input, which it may not keep or change, and throws when something is wrong. What it
   * returns is the input's shape: inputs with a shape not seen before are kept and mutated further.
   */
  run(input: Uint8Array): string;
}

/** Fails the run with both values when they differ; the oracle of most targets. */
export function mustEqual(claim: string, left: string, right: string): void {
  if (left !== right) throw new Error(`${claim}\n  one way:   ${left}\n  the other: ${right}`);
}

/** Fails the run when a mistake in a text is said to be outside of it: more than `past` columns after a line. */
export function mustBeInside(
  text: string,
  places: readonly { readonly line: number; readonly column: number }[],
  past = 1,
): void {
  const lines = text.split("\n");
  for (const { line, column } of places) {
    const end = lines[line - 1]?.length ?? Number.NEGATIVE_INFINITY;
    if (column < 1 || column > end + past) throw new Error(`no such place ${line}:${column}`);
  }
}

const MARGIN_BYTES = 64;

/**
 * Runs a description of `(b, at, end)` three times: on the bytes alone, and inside a larger buffer
 * with zeros and with ones around them. The three texts must agree, or something was read outside.
 * Returns their shape: the text without its numbers.
 */
export function describeInPlaces(
  input: Uint8Array,
  describe: (b: Uint8Array, at: number, end: number) => string,
): string {
  const alone = describe(input, 0, input.length);
  for (const filler of [0x00, 0xff]) {
    const b = new Uint8Array(input.length + 2 * MARGIN_BYTES).fill(filler);
    b.set(input, MARGIN_BYTES);
    const inside = describe(b, MARGIN_BYTES, MARGIN_BYTES + input.length);
    mustEqual(`bytes around the input matter (filler ${filler})`, alone, inside);
  }
  return alone.replaceAll(/[0-9a-f]{2}(?::[0-9a-f]{2})+|[\d,-]+/g, "").slice(0, 300);
}
