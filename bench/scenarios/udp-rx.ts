import { packetScenario } from "./packet-scenario.js";

export const udpRx = packetScenario({
  name: "udp-rx",
  summary: "one 64-byte datagram from the device to the socket and out of its queue",
  kernel: ["udp-rx", "64", "1000000"],
  node: "node-udp",
});
