import { packetScenario } from "./packet-scenario.js";

export const udpTx = packetScenario({
  name: "udp-tx",
  summary: "one 64-byte datagram from the program to the device",
  kernel: ["udp-tx", "64", "1000000"],
  node: "node-udp",
});
