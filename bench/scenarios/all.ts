/** Every scenario, in the order of `--list`. */
import type { Scenario } from "../scenario.js";
import { flowsScale } from "./flows-scale.js";
import { tapLoss1, tapLoss5, tapTcp } from "./tap-bulk.js";
import { tapUdp } from "./tap-udp.js";
import { tcpRx } from "./tcp-rx.js";
import { turn } from "./turn.js";
import { udpRx } from "./udp-rx.js";
import { udpTx } from "./udp-tx.js";

export const SCENARIOS: readonly Scenario[] = [
  udpRx,
  udpTx,
  turn,
  tcpRx,
  flowsScale,
  tapUdp,
  tapTcp,
  tapLoss1,
  tapLoss5,
];
