/**
 * Bulk TCP over a TAP, both ways, beside Linux to Linux: over veth, and through the same injected
 * faults (two namespaces joined by test/support/tap-bridge.ts). Every contestant runs unpinned; the
 * kernel's senders use CUBIC, as Millrace does. Needs root, for network namespaces.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { measure, nativeProgram } from "../child.js";
import type { Contestant, Metrics, Prepared, Scenario } from "../scenario.js";

const CASE = fileURLToPath(new URL("../cases/tap-tcp-bulk.js", import.meta.url));
const BRIDGE = fileURLToPath(new URL("../../test/support/tap-bridge.js", import.meta.url));
const ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
const PORT = "5001";
const SEED = "7";
const VETH = { near: "10.77.4.1", far: "10.77.4.2" };
const BRIDGED = { near: "10.77.5.1", far: "10.77.5.2" };

const common = { metric: "gbit_per_s", smallerIsBetter: false } as const;

export const tapTcp: Scenario = {
  ...common,
  name: "tap-tcp",
  summary: "bulk TCP over a TAP, the slower direction, beside Linux to Linux over veth",
  rounds: 5,
  prepare: () => prepare("2", undefined),
};

export const tapLoss1: Scenario = {
  ...common,
  name: "tap-loss-1",
  summary: "as tap-tcp, with 1 % loss, reordering and duplication both ways, for all",
  rounds: 5,
  prepare: () => prepare("2", '{"loss":0.01,"reorder":0.01,"duplicate":0.01}'),
};

export const tapLoss5: Scenario = {
  ...common,
  name: "tap-loss-5",
  summary: "as tap-tcp, with 5 % loss, 2 % reordering and duplication both ways, for all",
  rounds: 9,
  prepare: () => prepare("3", '{"loss":0.05,"reorder":0.02,"duplicate":0.02}'),
};

async function prepare(seconds: string, faults: string | undefined): Promise<Prepared> {
  const bulk = await nativeProgram("tcp-bulk");
  const restore = allowCubic();
  const [near, far] = [`mrl-${process.pid}-a`, `mrl-${process.pid}-b`];
  for (const name of [near, far]) addNamespace(name);

  const millrace: Contestant = async () => {
    const one = (direction: string): Promise<Metrics> => {
      const args = [CASE, direction, bulk, seconds, ...(faults === undefined ? [] : [faults])];
      return measure("ip", ["netns", "exec", near, process.execPath, ...args]);
    };
    const to = (await one("to-linux")).gbit_per_s!;
    const from = (await one("from-linux")).gbit_per_s!;
    const slower = Math.min(to, from);
    return { gbit_per_s: slower, to_linux_gbit_per_s: to, from_linux_gbit_per_s: from };
  };
  const linux = async (address: string): Promise<Metrics> => {
    const sink = measure("ip", ["netns", "exec", far, bulk, "sink", address, PORT]);
    await pause(200);
    await measure("ip", ["netns", "exec", near, bulk, "source", address, PORT, seconds]);
    return { gbit_per_s: (await sink).gbit_per_s! };
  };
  const bridged: Contestant = async () => {
    const bridge = await startBridge(near, far, faults!);
    try {
      return await linux(BRIDGED.far);
    } finally {
      await end(bridge);
    }
  };
  if (faults === undefined) addVeth(near, far);
  return {
    millrace,
    baselines:
      faults === undefined ? { "linux-veth": () => linux(VETH.far) } : { "linux-bridged": bridged },
    cleanUp: async () => {
      for (const name of [near, far]) ip("netns", "delete", name);
      restore();
    },
  };
}

const ip = (...args: string[]): void => void execFileSync("ip", args);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A namespace may only use what the initial one allows; returns how to take that back. */
function allowCubic(): () => void {
  const before = readFileSync(ALLOWED, "utf8").trim();
  if (before.split(" ").includes("cubic")) return () => {};
  writeFileSync(ALLOWED, `${before} cubic`);
  return () => writeFileSync(ALLOWED, before);
}

function addNamespace(name: string): void {
  ip("netns", "add", name);
  ip("-n", name, "link", "set", "lo", "up");
  const file = "/proc/sys/net/ipv4/tcp_congestion_control";
  ip("netns", "exec", name, "sh", "-c", `echo cubic > ${file}`);
}

function addVeth(near: string, far: string): void {
  ip("link", "add", "veth0", "netns", near, "type", "veth", "peer", "veth0", "netns", far);
  ip("-n", near, "address", "add", `${VETH.near}/24`, "dev", "veth0");
  ip("-n", far, "address", "add", `${VETH.far}/24`, "dev", "veth0");
  for (const name of [near, far]) ip("-n", name, "link", "set", "veth0", "up");
}

async function startBridge(near: string, far: string, faults: string): Promise<ChildProcess> {
  const ends = [near, `${BRIDGED.near}/24`, far, `${BRIDGED.far}/24`];
  const bridge = spawn(process.execPath, [BRIDGE, ...ends, SEED, faults], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    bridge.stdout!.once("data", () => resolve());
    bridge.once("close", () => reject(new Error("the bridge ended before it was ready")));
  });
  return bridge;
}

async function end(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await closed;
}
