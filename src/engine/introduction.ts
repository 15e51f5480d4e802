/**
 * What a process that lets another one in (MR_MSG_DOOR) says of it: the new one may be a user, or have a root, that
 * does not see the file of rules any more, and then has its starter's.
 */
import { EACCES } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { Rule } from "../socket/rules.js";
import type { OwnRules } from "./decision.js";
import type { Hello } from "./message.js";
import { readRulesText } from "./rules-texts.js";
import type { Session } from "./session.js";

export interface Introduction {
  /** The file's name, or "": it has none of its own. */
  readonly file: string;
  readonly rules: readonly Rule[];
}

export const introductionBy = ({ program, rules }: Session): Introduction => ({
  file: program.rules,
  rules: rules.file,
});

/** The rules that a process brings along, or that its starter has of the same file. Throws `NetError`. */
export function ownRules(
  hello: Hello,
  starter: Introduction | undefined,
  fd: number | undefined,
  areLost: boolean,
): OwnRules {
  const { rules: file, rulesOfStarter } = hello;
  if (!rulesOfStarter || file === "") return readRulesText(file, fd, areLost);
  if (starter?.file === file) return starter.rules;
  const hint = `${file} cannot be read, and who started the program has other rules`;
  throw new NetError(EACCES, { syscall: "rules", hint });
}
