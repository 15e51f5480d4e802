/** What flags say of an engine, looked at before an engine is asked for it or started with it. */
import { readConfig, specificationOf } from "../engine/config.js";
import { checkDevice } from "../socket/open-device.js";
import type { EngineFlags } from "./engine-flags.js";

/**
 * Whether the file makes sense and the interfaces are there. Throws `PlacedError`, `TypeError`, `NetError` and
 * the system's errors.
 */
export function checkEngineFlags({ config, nic = [], xdp }: EngineFlags): void {
  const ofFile = config === undefined ? [] : readConfig(config).nics;
  const given = nic.map((one, i) => ({ nic: one, xdp: i === 0 ? (xdp ?? null) : null }));
  for (const one of given.length > 0 ? given : ofFile) checkDevice(specificationOf(one));
}
