/** Where a file says the values of one part of it, for what is only found wrong once they are used. */
import type { JsonPlace } from "../base/commented-json.js";
import { PlacedError, type Problem } from "../base/placed-error.js";

export class ValuePlaces {
  private readonly file: string;
  /** Of the part: `nics[0]`. */
  private readonly name: string;
  /** By the whole name: `nics[0].addresses[1]`. */
  private readonly places: ReadonlyMap<string, JsonPlace>;

  constructor(file: string, name: string, places: ReadonlyMap<string, JsonPlace>) {
    this.file = file;
    this.name = name;
    this.places = places;
  }

  /** A mistake at a value of the part, `addresses[1]`; where that is not written, at the part. */
  problem(member: string, text: string): Problem {
    const name = `${this.name}.${member}`;
    const place = this.places.get(name) ?? this.places.get(this.name) ?? { line: 1, column: 1 };
    return { ...place, text: `${name}: ${text}` };
  }

  /** The same as an error; each line of the text becomes one with the place. */
  error(member: string, text: string): PlacedError {
    return new PlacedError(
      this.file,
      text.split("\n").map((line) => this.problem(member, line)),
    );
  }
}
