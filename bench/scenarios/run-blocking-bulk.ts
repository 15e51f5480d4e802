/** Ordinary blocking programs with default settings: nobody says where they run, and nobody polls for ever. */
import { measure, nativeProgram } from "../child.js";
import type { Command } from "../duel.js";
import { ENGINE_ADDRESS, RunPlace } from "../run-place.js";
import type { Metrics, Scenario } from "../scenario.js";

const SECONDS = "2";
/** An engine is slow until V8 has compiled it. */
const WARM_UP = "5";
const FIRST_PORT = 7_900;
/** Until a sink listens, which it does not say. */
const LISTENS_MS = 500;

export const runBlockingBulk: Scenario = {
  name: "run-blocking-bulk",
  summary: "blocking writes and reads of 128 KiB over TCP, default settings, unpinned",
  metric: "gbit_per_s",
  smallerIsBetter: false,
  rounds: 5,
  prepare: async () => {
    const bulk = await nativeProgram("tcp-bulk");
    const place = await RunPlace.open([], false);
    let port = FIRST_PORT;
    const run = async (address: string, as: (c: Command) => Command, seconds: string) => {
      const to = [address, String(port++)];
      // Sessions of their own, as in two terminals: the kernel's scheduler shares processors out among them.
      const of = (command: Command): Promise<Metrics> => measure("setsid", ["-w", ...command]);
      const sink = of(as([bulk, "sink", ...to]));
      await new Promise((resolve) => setTimeout(resolve, LISTENS_MS));
      await of(as([bulk, "source", ...to, seconds]));
      return { gbit_per_s: (await sink).gbit_per_s! };
    };
    const millrace = (seconds: string) => run(ENGINE_ADDRESS, (c) => place.under(c), seconds);
    await millrace(WARM_UP);
    return {
      millrace: () => millrace(SECONDS),
      baselines: { "kernel-loopback": () => run("127.0.0.1", (c) => c, SECONDS) },
      cleanUp: place.close,
    };
  },
};
