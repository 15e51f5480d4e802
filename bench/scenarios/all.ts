/** Every scenario, in the order of `--list`. */
import type { Scenario } from "../scenario.js";

export const SCENARIOS: readonly Scenario[] = [];
