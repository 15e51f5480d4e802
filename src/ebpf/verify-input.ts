/** What the verifier is given, and what it says of a program that it takes. */
import type { LinkedProgram } from "./link.js";
import type { MapDefinition } from "./map-definition.js";

export interface VerifyInput {
  readonly name: string;
  /** Where it attaches: `xdp/devmap` programs may read one word more. */
  readonly section: string;
  readonly program: LinkedProgram;
  readonly maps: readonly MapDefinition[];
  readonly license: string;
  /** Instructions that may be walked; the kernel's limit by default. */
  readonly maxSteps?: number;
}

export interface VerifyResult {
  /** Instructions walked. */
  readonly steps: number;
  /** The deepest stack of each function, in bytes. */
  readonly stackBytes: readonly number[];
}

/** Licences that the kernel counts as the GPL's. */
export const GPL = new Set([
  "GPL",
  "GPL v2",
  "GPL and additional rights",
  "Dual BSD/GPL",
  "Dual MIT/GPL",
  "Dual MPL/GPL",
]);
