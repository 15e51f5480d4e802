/**
 * The public face of `millrace/sim`: virtual time for whole stacks, and scripts that say what a peer
 * sends and what a host must answer (docs/scripts.md).
 */
export {
  parseScript,
  type ScriptAction,
  ScriptError,
  type ScriptOption,
  type ScriptSegment,
  type ScriptStep,
} from "./script.js";
export { ScriptHost } from "./script-host.js";
export type { ScriptEnd } from "./script-segment.js";
export {
  runScript,
  type ScriptedPeerOptions,
  ScriptFailure,
  type TestedHost,
} from "./scripted-peer.js";
export { type Simulated, Simulation } from "./simulation.js";
