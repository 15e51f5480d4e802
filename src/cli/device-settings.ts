/** What may follow a device's name on the command line: `NAME,key=value,word`. */

/** Reads a value's text; undefined when it makes no sense. A word without a value reads "". */
export type ReadSetting = (text: string) => string | number | boolean | undefined;

export const readNumber: ReadSetting = (text) =>
  /^\d{1,10}$/.test(text) ? Number(text) : undefined;
export const readText: ReadSetting = (text) => (text === "" ? undefined : text);
/** A word that stands alone: `shared`. */
export const readWord: ReadSetting = (text) => (text === "" ? true : undefined);
export const readOneOf =
  (...words: string[]): ReadSetting =>
  (text) =>
    words.includes(text) ? text : undefined;

/**
 * Splits `NAME,key=value,word` and reads its settings by a table of the known ones. Throws
 * `TypeError` that names what is known for one that is not, or whose value makes no sense.
 */
export function readDevice<T>(
  kind: string,
  specification: string,
  settings: Readonly<Record<string, ReadSetting>>,
): { readonly name: string; readonly settings: Partial<T> } {
  const [name = "", ...parts] = specification.split(",");
  const found: Record<string, string | number | boolean> = {};
  for (const part of parts) {
    const [key = "", value = ""] = part.split(/=(.*)/s);
    const read = Object.hasOwn(settings, key) ? settings[key] : undefined;
    const result = read?.(value);
    if (result === undefined) {
      const known = Object.keys(settings).map((k) => (settings[k] === readWord ? k : `${k}=…`));
      const expected = known.length === 0 ? "nothing" : known.join(", ");
      throw new TypeError(
        `${kind}: expected ${expected} after ${name}, got ${JSON.stringify(part)}`,
      );
    }
    found[key] = result;
  }
  return { name, settings: found as Partial<T> };
}
