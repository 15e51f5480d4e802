/** Values of `millrace xdp eval`'s options. What is wrong is a usage error, which Commander prints. */
import { InvalidArgumentError } from "commander";

export const atLeast =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && Number.isSafeInteger(value)) return value;
    throw new InvalidArgumentError(
      `Expected a number of at least ${least}, got ${text || "nothing"}.`,
    );
  };

/** Numbers between commas. */
export const allAtLeast =
  (least: number) =>
  (text: string): number[] =>
    text.split(",").map(atLeast(least));

/** Names between commas. */
export const someOf =
  <Name extends string>(known: readonly Name[]) =>
  (text: string): Name[] => {
    for (const name of text.split(",")) {
      if ((known as readonly string[]).includes(name)) continue;
      throw new InvalidArgumentError(
        `Expected some of ${known.join(",")}, got ${name || "nothing"}.`,
      );
    }
    return text.split(",") as Name[];
  };
