/** Every scenario, in the order of `--list`. */
import type { Scenario } from "../scenario.js";
import { connectRate } from "./connect-rate.js";
import {
  ebpfBalancer,
  ebpfFilter,
  ebpfFiveTuple,
  ebpfNull,
  ebpfOpen,
  ebpfRewrite,
} from "./ebpf.js";
import { flowsScale } from "./flows-scale.js";
import { memifRaw } from "./memif-raw.js";
import { NODE_SCENARIOS } from "./node.js";
import { tcpPingPong, udpPingPong } from "./pingpong.js";
import { runBlockingBulk } from "./run-blocking-bulk.js";
import { RUN_COSTS } from "./run-costs.js";
import { RUN_SCENARIOS } from "./run-programs.js";
import { tapLoss1, tapLoss5, tapTcp } from "./tap-bulk.js";
import { tapUdp } from "./tap-udp.js";
import { tcpRx } from "./tcp-rx.js";
import { tcpStream } from "./tcp-stream.js";
import { TRACE_SCENARIOS } from "./traces.js";
import { turn } from "./turn.js";
import { udpRx } from "./udp-rx.js";
import { udpStream } from "./udp-stream.js";
import { udpTx } from "./udp-tx.js";
import { xdpPair, xdpStream, xdpStreamLong, xdpUdp } from "./xdp.js";
import { xdpProgram } from "./xdp-program.js";

export const SCENARIOS: readonly Scenario[] = [
  udpRx,
  udpTx,
  turn,
  tcpRx,
  flowsScale,
  udpPingPong,
  tcpPingPong,
  udpStream,
  tcpStream,
  connectRate,
  memifRaw,
  tapUdp,
  tapTcp,
  tapLoss1,
  tapLoss5,
  ...NODE_SCENARIOS,
  ...RUN_SCENARIOS,
  runBlockingBulk,
  ...RUN_COSTS,
  xdpUdp,
  xdpPair,
  xdpStream,
  xdpStreamLong,
  xdpProgram,
  ebpfNull,
  ebpfFilter,
  ebpfRewrite,
  ebpfFiveTuple,
  ebpfBalancer,
  ebpfOpen,
  ...TRACE_SCENARIOS,
];
