/** `millrace engine`: serves programs that run under Millrace; `millrace run` starts one by itself. */
import { readFileSync } from "node:fs";
import { NetError } from "../base/errors.js";
import { PlacedError } from "../base/placed-error.js";
import { EbpfError } from "../ebpf/ebpf-error.js";
import { DEFAULT_CONFIG, type EngineConfig, type Profile, readConfig } from "../engine/config.js";
import { EngineService } from "../engine/engine-service.js";
import { nicOf } from "../engine/nic-config.js";
import { type EnginePaths, pathsBeside, prepareControl } from "../engine/socket-path.js";
import type { Tell } from "../engine/troubles.js";
import { absoluteFiles } from "../nic/program-settings.js";
import { deviceKinds } from "../socket/open-device.js";
import { type AddCommand, examples } from "./command.js";
import { checkNicFlags, checkNics, checkRules } from "./engine-check.js";
import { currentEngine } from "./engine-start.js";
import { addressOf, controlOf, prefixOf, profileOf, spinOf } from "./option-values.js";
import { DONE, FAILED, isSystemError, statusOf, systemText, USAGE, type World } from "./world.js";

interface EngineCommandOptions {
  readonly nic?: readonly string[];
  readonly address?: readonly string[];
  readonly gateway?: string;
  readonly xdp?: string;
  readonly network?: string;
  readonly config?: string;
  readonly rules?: string;
  readonly profile?: Profile;
  readonly spin?: number;
  readonly loopback?: boolean;
  readonly keep?: boolean;
  readonly socket?: string;
  readonly jsonLog?: boolean;
}

export const addEngine: AddCommand = (program, world, finish) => {
  const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];
  const command = program
    .command("engine")
    .summary("serve programs that run under Millrace")
    .description(
      "Owns interfaces and connections, and serves the programs of this user in this network " +
        "namespace over shared memory. `millrace run` starts one when none runs. Flags go before " +
        "what the file of --config says. docs/engine.md is the manual.\n" +
        "Exit status: 0 ended by a signal or because nobody needs it, 1 it cannot run or a file has mistakes, " +
        "2 wrong usage, 3 there is no memory for it, or a limit (ulimit) leaves no room.",
    )
    .option(
      "--nic <NIC>",
      `interface: NAME (AF_XDP, shared with the kernel), ${deviceKinds()}; several allowed`,
      collect,
    )
    .option(
      "--address <PREFIX>",
      "own address of an owned interface, like 10.0.0.2/24",
      (value, before: readonly string[] = []) => [...before, prefixOf(value)],
    )
    .option("--gateway <ADDRESS>", "default route of an owned interface", addressOf)
    .option("--xdp <FILE>", "XDP program in front of the first interface (docs/ebpf.md)")
    .option(
      "--network <PREFIX>",
      "the machine's address on the host-local network (10.77.0.1/16)",
      prefixOf,
    )
    .option("--config <FILE>", "configuration (docs/engine-config.schema.json)")
    .option("--rules <FILE>", "which sockets to accelerate (docs/rules.md)")
    .option("--profile <NAME>", "how to wait: latency, balanced, idle", profileOf)
    .option("--spin <US>", "how long to spin before sleeping, or forever", spinOf)
    .option("--loopback", "127.0.0.0/8 and ::1 go through Millrace, too")
    .option("--keep", "stay when no program uses it any more")
    .option("--socket <PATH>", "where programs find it (MILLRACE_ENGINE)", controlOf)
    .option("--json-log", "print what happens as JSON lines")
    .action(async (options: EngineCommandOptions) => {
      finish(await serve(options, world));
    });
  examples(command, [
    ["millrace engine --keep", "a network among this user's programs on this machine"],
    ["millrace engine --nic eth1", "to the world, over an interface shared with the kernel"],
    ["millrace engine --nic tap0 --address 10.0.0.2/24 --gateway 10.0.0.1", "an interface alone"],
    ["millrace engine --profile latency", "never sleep while programs have sockets"],
  ]);
};

async function serve(options: EngineCommandOptions, world: World): Promise<number> {
  let config: EngineConfig;
  let paths: EnginePaths;
  try {
    paths = options.socket === undefined ? currentEngine(world.env) : pathsBeside(options.socket);
    prepareControl(paths.control, world.env as NodeJS.ProcessEnv);
    config = configOf(options);
    checkNics(config.nics.filter(({ places }) => places !== null));
    checkRules(config);
  } catch (error) {
    return await refuse(error, world);
  }
  const log = logTo(world, options.jsonLog === true);
  let service: EngineService;
  try {
    const tell: Tell = (event, text) => void log(event, text, { text });
    service = new EngineService(config, paths, version(), tell);
    await service.start();
  } catch (error) {
    return await refuse(error, world);
  }
  const stop = (): void => service.stop();
  world.stop.addEventListener("abort", stop);
  if (world.ignoresHangUps !== true) process.on("SIGHUP", stop);
  await log("ready", `engine ready on ${paths.control}`, placesOf(service, paths));
  await service.run();
  process.off("SIGHUP", stop);
  world.stop.removeEventListener("abort", stop);
  await log("ended", "engine ended", {});
  return DONE;
}

/** Says what is wrong, as far as that is the user's; the exit status. A file's mistakes begin with their places. */
async function refuse(error: unknown, world: World): Promise<number> {
  if (error instanceof PlacedError) {
    await world.err.write(`${error.message}\n`);
    return FAILED;
  }
  const isUsage = error instanceof TypeError && !isSystemError(error);
  const isTheirs = isUsage || error instanceof NetError || error instanceof EbpfError;
  if (!isTheirs && !isSystemError(error)) throw error;
  const text = isTheirs ? error.message : systemText(error);
  const more = isUsage ? "\n(see millrace engine --help)" : "";
  await world.err.write(`millrace engine: ${text}${more}\n`);
  return isUsage ? USAGE : statusOf(error);
}

/** The file's configuration with the flags' on top. Throws {@link PlacedError}, or a `TypeError`. */
function configOf(o: EngineCommandOptions): EngineConfig {
  const file = o.config === undefined ? DEFAULT_CONFIG : readConfig(o.config);
  const nics = nicsOf(o, file);
  return {
    ...file,
    nics,
    network: o.network ?? file.network,
    profile: o.profile ?? file.profile,
    spinUs: o.spin ?? (o.profile === undefined ? file.spinUs : null),
    rules: o.rules ?? file.rules,
    rulesPlace: o.rules === undefined ? file.rulesPlace : null,
    loopback: o.loopback ?? file.loopback,
    keep: o.keep ?? file.keep,
  };
}

function nicsOf(o: EngineCommandOptions, file: EngineConfig): EngineConfig["nics"] {
  const { nic = [], address = [], gateway } = o;
  if (nic.length === 0) {
    if (address.length === 0 && gateway === undefined && o.xdp === undefined) return file.nics;
    throw new TypeError(
      "--address, --gateway and --xdp are an interface's; expected --nic with them",
    );
  }
  const nics = nic.map((specification, i) =>
    nicOf({
      nic: specification,
      addresses: i === 0 ? address : [],
      gateway: i === 0 ? (gateway ?? null) : null,
      xdp: i === 0 && o.xdp !== undefined ? absoluteFiles(o.xdp) : null,
    }),
  );
  checkNicFlags(nics);
  return nics;
}

function placesOf(service: EngineService, paths: EnginePaths): Record<string, unknown> {
  return {
    pid: process.pid,
    socket: paths.control,
    interfaces: service.engine.stack.ip.interfaces.map(({ name, addresses }) => ({
      name,
      addresses: addresses.map((a) => `${a.address}/${a.prefixBits}`),
    })),
  };
}

type Log = (event: string, text: string, details: Record<string, unknown>) => Promise<void>;

const logTo =
  (world: World, isJson: boolean): Log =>
  async (event, text, details) => {
    const line = isJson ? JSON.stringify({ event, ...details }) : `millrace: ${text}`;
    await world.out.write(`${line}\n`);
  };

function version(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
