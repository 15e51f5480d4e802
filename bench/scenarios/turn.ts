import { measureCase } from "../child.js";
import type { Scenario } from "../scenario.js";

export const turn: Scenario = {
  name: "turn",
  summary: "a turn with nothing to do, and with one datagram in and its echo out",
  metric: "ns_per_echo",
  smallerIsBetter: true,
  rounds: 5,
  prepare: async () => ({ millrace: () => measureCase("turn"), baselines: {} }),
};
