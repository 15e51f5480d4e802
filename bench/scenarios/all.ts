/** Every scenario, in the order of `--list`. */
import type { Scenario } from "../scenario.js";

import { tapUdp } from "./tap-udp.js";

export const SCENARIOS: readonly Scenario[] = [tapUdp];
