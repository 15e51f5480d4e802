import { cacheProbe, casePath, memifDuel, metricsOf, SERVER_ADDRESS, VethPair } from "../duel.js";
import type { Scenario } from "../scenario.js";

const CONNECTIONS = "20000";
/** The kernel's client runs out of ports sooner: 28,000 of them, each kept for a second at least. */
const KERNEL_CONNECTIONS = "10000";
const AT_A_TIME = "16";

export const connectRate: Scenario = {
  name: "connect-rate",
  summary: "TCP connect, request, reply, close, 16 at a time: memif; Node.js over veth",
  metric: "connects_per_s",
  smallerIsBetter: false,
  rounds: 5,
  prepare: async () => {
    const probe = await cacheProbe();
    const veth = new VethPair();
    const node = (role: string, ...more: string[]) => [
      process.execPath,
      casePath("node-connect"),
      role,
      SERVER_ADDRESS,
      ...more,
    ];
    return {
      millrace: async () =>
        metricsOf((await memifDuel("memif-connect", [CONNECTIONS, AT_A_TIME])).client),
      baselines: {
        node: async () => {
          const client = node("client", KERNEL_CONNECTIONS, AT_A_TIME);
          return metricsOf((await veth.duel({ server: node("server"), client })).client);
        },
      },
      probe,
      cleanUp: async () => veth.close(),
    };
  },
};
