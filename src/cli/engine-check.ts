/** What flags say of an engine, looked at before an engine is asked for it or started with it. */
import { NetError } from "../base/errors.js";
import { PlacedError } from "../base/placed-error.js";
import {
  DEFAULT_CONFIG,
  type EngineConfig,
  type NicConfig,
  nicOf,
  readConfig,
  specificationOf,
} from "../engine/config.js";
import { checkDevice } from "../socket/open-device.js";
import { RulesError, readRules } from "../socket/rules-parser.js";
import type { EngineFlags } from "./engine-flags.js";
import { isSystemError, systemText } from "./world.js";

/**
 * Whether the file and the rules that it names make sense and the interfaces are there. Throws `PlacedError`, `TypeError`, `NetError` and
 * the system's errors.
 */
export function checkEngineFlags({ config, nic = [], xdp }: EngineFlags): void {
  const ofFile = config === undefined ? DEFAULT_CONFIG : readConfig(config);
  const given = nic.map((one, i) => nicOf({ nic: one, xdp: i === 0 ? (xdp ?? null) : null }));
  checkNics(given.length > 0 ? given : ofFile.nics);
  checkRules(ofFile);
}

/** The interfaces alone; what a file names wrongly is a `PlacedError`. */
export function checkNics(nics: readonly NicConfig[]): void {
  for (const [i, nic] of nics.entries()) {
    try {
      checkDevice(specificationOf(nic));
    } catch (error) {
      if (nic.place === null) throw error;
      const { file, line, column } = nic.place;
      const isOurs = error instanceof NetError || !isSystemError(error);
      const text = isOurs ? (error as Error).message : systemText(error);
      throw new PlacedError(file, [{ line, column, text: `nics[${i}].nic: ${text}` }]);
    }
  }
}

/** The rules that a file names: what is wrong with them is a `PlacedError` that names both files. */
export function checkRules({ rules, rulesPlace }: EngineConfig): void {
  if (rules === null || rulesPlace === null) return; // a flag's: the engine says what is wrong
  const { file, ...place } = rulesPlace;
  try {
    readRules(rules);
  } catch (error) {
    const texts =
      error instanceof RulesError
        ? error.message.split("\n")
        : [isSystemError(error) ? systemText(error) : (error as Error).message];
    throw new PlacedError(
      file,
      texts.map((text) => ({ ...place, text: `rules: ${text}` })),
    );
  }
}
