/** Options that have one value. */
import { InvalidArgumentError } from "commander";

/** Refuses a second value instead of forgetting the first. */
export const onlyOnce = (option: string) => (value: string, before: string | undefined) => {
  if (before !== undefined) throw new InvalidArgumentError(`${option} is there twice.`);
  return value;
};
