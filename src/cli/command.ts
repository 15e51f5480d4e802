/** How a command takes part in the command line: it adds itself to the program. */
import type { Command } from "commander";
import type { World } from "./world.js";

/**
 * Adds a command to the program. The command's action calls `finish` with its exit status; the
 * action itself never ends the process.
 */
export type AddCommand = (program: Command, world: World, finish: (status: number) => void) => void;

/** Puts examples before everything else in a command's help. */
export function examples(command: Command, lines: readonly (readonly [string, string])[]): void {
  const width = Math.max(...lines.map(([line]) => line.length));
  const text = lines.map(([line, meaning]) => `  ${line.padEnd(width)}  # ${meaning}`);
  command.addHelpText("before", `Examples:\n${text.join("\n")}\n`);
}
