/** What flags say of an engine, looked at before an engine is asked for it or started with it. */
import { NetError } from "../base/errors.js";
import { PlacedError } from "../base/placed-error.js";
import { requirePlainFile } from "../base/read-text.js";
import { DEFAULT_CONFIG, type EngineConfig, readConfig } from "../engine/config.js";
import { mistakesOf } from "../engine/nic-check.js";
import { type NicConfig, nicOf, specificationOf } from "../engine/nic-config.js";
import { checkDevice } from "../socket/open-device.js";
import { RulesError, readRules } from "../socket/rules-parser.js";
import type { EngineFlags } from "./engine-flags.js";
import { isSystemError, systemText } from "./world.js";

/**
 * Whether the file and the rules that it names make sense and the interfaces are there. Throws `PlacedError`, `TypeError`, `NetError` and
 * the system's errors.
 */
export function checkEngineFlags(flags: EngineFlags): void {
  const { config, nic = [], address = "", gateway = null, xdp = null } = flags;
  // The engine reads it again, in another process: what is read once only is of no use.
  if (config !== undefined) requirePlainFile(config);
  const ofFile = config === undefined ? DEFAULT_CONFIG : readConfig(config);
  const addresses = address.includes("/") ? [address] : [];
  const given = nic.map((one, i) =>
    nicOf(i === 0 ? { nic: one, addresses, gateway, xdp } : { nic: one }),
  );
  checkNicFlags(given);
  checkNics(given.length > 0 ? given : ofFile.nics);
  checkRules(ofFile);
}

/** The interfaces alone; what a file names wrongly is a `PlacedError`. */
export function checkNics(nics: readonly NicConfig[]): void {
  for (const nic of nics) {
    checkPart(nic, "nic", specificationOf({ nic: nic.nic, xdp: null }));
    if (nic.xdp !== null) checkPart(nic, "xdp", specificationOf(nic));
  }
}

function checkPart({ places }: NicConfig, member: string, specification: string): void {
  try {
    checkDevice(specification);
  } catch (error) {
    if (places === null) throw error;
    const isOurs = error instanceof NetError || !isSystemError(error);
    throw places.error(member, isOurs ? (error as Error).message : systemText(error));
  }
}

/** What flags say of interfaces that cannot be, whatever there is on the machine. Throws `TypeError` that names the flag. */
export function checkNicFlags(nics: readonly NicConfig[]): void {
  const [mistake] = mistakesOf(nics);
  if (mistake === undefined) return;
  const { member, text } = mistake;
  const option = member.startsWith("addresses") ? "address" : member.replace(/[[.].*/, "");
  throw new TypeError(`--${option}: ${text}`);
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
