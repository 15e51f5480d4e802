/**
 * Shell wildcards as fnmatch(3) has them with no flags: `*` any text, `?` any character, `[a-z]` and
 * `[!a-z]` sets, `\` takes the next character as it is. Case matters, `/` and `.` are characters like others.
 *
 * Takes time in proportion to pattern times text at most: only the last `*` is ever tried again.
 */

/** A set of a pattern: where it goes on, and whether the character is in it. */
interface SetMatch {
  readonly nextAt: number;
  readonly isIn: boolean;
}

/** Whether the whole text fits the pattern. A `[` without `]` stands for itself, as in the shell. */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let i = 0;
  let starAt = -1;
  let starText = 0;
  while (i < text.length) {
    if (pattern[at] === "*") {
      starAt = at++;
      starText = i;
      continue;
    }
    const nextAt = matchOne(pattern, at, text[i]!);
    if (nextAt >= 0) {
      at = nextAt;
      i++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      i = ++starText;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}

/** Where the pattern goes on after one character, or -1. */
function matchOne(pattern: string, at: number, character: string): number {
  const p = pattern[at];
  if (p === undefined) return -1;
  if (p === "?") return at + 1;
  if (p === "[") {
    const set = matchSet(pattern, at, character);
    if (set !== null) return set.isIn ? set.nextAt : -1;
  }
  if (p === "\\" && at + 1 < pattern.length) return pattern[at + 1] === character ? at + 2 : -1;
  return p === character ? at + 1 : -1;
}

/** The set that starts at `at`, or null when it has no end. */
function matchSet(pattern: string, start: number, character: string): SetMatch | null {
  let at = start + 1;
  const isNegated = pattern[at] === "!" || pattern[at] === "^";
  if (isNegated) at++;
  const firstAt = at;
  let isIn = false;
  for (;;) {
    let low = pattern[at];
    if (low === undefined) return null;
    if (low === "]" && at > firstAt) return { nextAt: at + 1, isIn: isIn !== isNegated };
    if (low === "\\" && at + 1 < pattern.length) low = pattern[++at]!;
    at++;
    let high = low;
    if (pattern[at] === "-" && at + 1 < pattern.length && pattern[at + 1] !== "]") {
      high = pattern[++at]!;
      if (high === "\\" && at + 1 < pattern.length) high = pattern[++at]!;
      at++;
    }
    if (low <= character && character <= high) isIn = true;
  }
}
