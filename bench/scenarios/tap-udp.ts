/**
 * Half round trip of a UDP datagram between a spinning kernel socket and whoever is behind a TAP: a
 * Millrace host, or the least that can answer; and between two spinning kernel sockets over veth.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { measure, nativeProgram } from "../child.js";
import type { Contestant, Metrics, Prepared, Scenario } from "../scenario.js";

const COUNT = 60_000;
const BYTES = 64;
const ECHO = fileURLToPath(new URL("../cases/tap-udp-echo.js", import.meta.url));
const TAP_ADDRESS = "10.77.1.2";
const VETH_ADDRESS = "10.77.2.2";

export const tapUdp: Scenario = {
  name: "tap-udp",
  summary: "UDP echo over a TAP, half round trip as a spinning kernel client sees it",
  metric: "p50_us",
  smallerIsBetter: true,
  rounds: 5,
  prepare,
};

async function prepare(): Promise<Prepared> {
  const [pingPong, tapEcho] = [
    await nativeProgram("udp-pingpong"),
    await nativeProgram("tap-echo"),
  ];
  const [near, far] = [`mrb-${process.pid}-a`, `mrb-${process.pid}-b`];
  const ip = (...args: string[]): void => void execFileSync("ip", args);
  ip("netns", "add", near);
  ip("netns", "add", far);
  ip("link", "add", "veth0", "netns", near, "type", "veth", "peer", "veth0", "netns", far);
  ip("-n", near, "address", "add", "10.77.2.1/24", "dev", "veth0");
  ip("-n", far, "address", "add", `${VETH_ADDRESS}/24`, "dev", "veth0");
  for (const namespace of [near, far]) ip("-n", namespace, "link", "set", "veth0", "up");

  /** One round: the server on one core, the kernel's client on the other. */
  const round = async (address: string, namespace: string, server: string[]): Promise<Metrics> => {
    const command = ["netns", "exec", namespace, ...server];
    const child = spawn("ip", command, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await ready(child);
      // Its main thread only: V8's compiler threads would get no time beside one that spins.
      execFileSync("taskset", ["-p", "-c", "1", `${child.pid}`], { stdio: "ignore" });
      const client = [pingPong, "client", address, "7", `${COUNT}`, `${BYTES}`];
      return await measure("ip", ["netns", "exec", near, "taskset", "-c", "0", ...client]);
    } finally {
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("close", resolve));
    }
  };
  const overTap =
    (server: string[]): Contestant =>
    async () => {
      ip("-n", near, "tuntap", "add", "dev", "tap0", "mode", "tap", "vnet_hdr");
      ip("-n", near, "address", "add", "10.77.1.1/24", "dev", "tap0");
      ip("-n", near, "link", "set", "tap0", "up");
      try {
        return await round(TAP_ADDRESS, near, server);
      } finally {
        ip("-n", near, "link", "delete", "tap0");
      }
    };
  const kernelServer = [pingPong, "server", VETH_ADDRESS, "7"];
  return {
    millrace: overTap([process.execPath, ECHO, "tap0", `${TAP_ADDRESS}/24`]),
    baselines: {
      "kernel-spinning-veth": () => round(VETH_ADDRESS, far, kernelServer),
      "bare-echo-tap": overTap([tapEcho, "tap0", TAP_ADDRESS]),
    },
    cleanUp: async () => {
      ip("netns", "delete", near);
      ip("netns", "delete", far);
    },
  };
}

/** Resolves at the server's first word, or after a moment for servers that say nothing. */
function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.stdout!.once("data", () => setTimeout(resolve, 300));
    setTimeout(resolve, 1500);
  });
}
