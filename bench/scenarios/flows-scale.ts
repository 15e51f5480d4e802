import { measureCase } from "../child.js";
import type { Scenario } from "../scenario.js";

export const flowsScale: Scenario = {
  name: "flows-scale",
  summary: "one packet with 10, 1,000 and 100,000 connections; bytes of an idle one",
  metric: "growth",
  smallerIsBetter: true,
  rounds: 3,
  prepare: async () => ({ millrace: () => measureCase("flows-scale"), baselines: {} }),
};
