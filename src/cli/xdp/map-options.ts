/** Forms of options about maps, which may be repeated. What is none is a usage error, which Commander prints. */
import { InvalidArgumentError } from "commander";

const collect =
  (form: RegExp, expected: string) =>
  (text: string, before: readonly string[] = []): readonly string[] => {
    if (!form.test(text)) throw new InvalidArgumentError(`Expected ${expected}.`);
    return [...before, text];
  };

/** `--map` */
export const mapFiles = collect(/^[^=]+=./s, "NAME=FILE, a map's name and a JSON file");

/** `--max-entries` */
export const mapSizes = collect(/^[^=]+=[1-9]\d{0,8}$/, "MAP=NUMBER, the number being at least 1");
