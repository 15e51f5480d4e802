import { packetScenario } from "./packet-scenario.js";

export const tcpRx = packetScenario({
  name: "tcp-rx",
  summary: "one in-order segment of 1,460 bytes from the device to the reader, ACKs included",
  kernel: ["tcp", "1460", "1000000"],
});
