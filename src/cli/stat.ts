/** `millrace stat`: the sockets of all programs that run under Millrace, accelerated or not. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError } from "commander";
import { NetError } from "../base/errors.js";
import type { EnginePaths } from "../engine/socket-path.js";
import type { StatLine, StatSocket } from "../engine/stat-message.js";
import { type AddCommand, examples } from "./command.js";
import { currentEngine } from "./engine-start.js";
import { type ObstacleOf, obstacles } from "./program-obstacle.js";
import { type ProgramProcess, programProcesses } from "./program-sockets.js";
import { askEngine } from "./stat-client.js";
import { type Snapshot, snapshotOf } from "./stat-snapshot.js";
import { formatSocket, formatTable, isListening, type TableOptions } from "./stat-table.js";
import { DONE, FAILED, isSystemError, USAGE, type World } from "./world.js";

interface StatOptions {
  readonly all?: boolean;
  readonly connected?: boolean;
  readonly listening?: boolean;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly tcp?: boolean;
  readonly udp?: boolean;
  readonly extend?: boolean;
  readonly processes?: boolean;
  readonly internal?: boolean;
  readonly socket?: string;
  readonly why?: boolean;
  /** False: `--no-header`. */
  readonly header?: boolean;
  readonly counters?: boolean;
  readonly json?: boolean;
  readonly watch?: number | true;
}

/** What was asked, and what else the command looks at; tests give their own. */
export interface StatSource {
  readonly ask: (internals: boolean) => Promise<readonly StatLine[] | null>;
  /** The programs under the engine, whether they use it or not. */
  readonly processes: () => readonly ProgramProcess[];
  /** What is in the way of the library in a process. */
  readonly obstacleOf: ObstacleOf;
  readonly readFile: (path: string) => string | null;
  /** Where an engine was looked for. */
  readonly place: string;
}

export const addStat: AddCommand = (program, world, finish) => {
  const command = program
    .command("stat")
    .summary("show the sockets of programs that run under Millrace")
    .description(
      "Recv-Q: bytes that the program has not read; of listeners, connections that wait.\n" +
        "Send-Q: bytes that the peer has not acknowledged; of listeners, how many may wait.\n" +
        "Path: who carries the socket, millrace or the kernel; --why says why.\n" +
        "Options are those of ss(8) where it has them, but for -c, -e, -i and -s: docs/run.md compares.\n" +
        "Exit status: 0 shown, 1 no engine runs (--watch waits for one) or there is no such socket, 2 wrong usage.",
    )
    .option("-a, --all", "with and without a peer, which is what happens anyway")
    .option("-c, --connected", "only sockets with a peer")
    .option("-l, --listening", "only sockets without a peer: servers")
    .option("-t, --tcp", "only TCP")
    .option("-u, --udp", "only UDP")
    .option("-4, --ipv4", "only IPv4")
    .option("-6, --ipv6", "only IPv6, for both families included")
    .option("-e, --extend", "show user, PID:FD and program")
    .option("-p, --processes", "the same as -e")
    .option("-n, --numeric", "accepted and ignored: names are never looked up")
    .option("-H, --no-header", "only the sockets, a line each")
    .option("-i, --internal", "show the insides of connections")
    .option("-s, --socket <PID:FD>", "show one socket", pidFd)
    .option("--why", "show why each socket is accelerated or not")
    .option("--counters", "show the counters of engine, interfaces and programs instead")
    .option("--json", "print one JSON object")
    .option("--watch [SECONDS]", "again and again, every second or so many", seconds)
    .action(async (options: StatOptions) => {
      try {
        finish(await stat(options, sourceOf(currentEngine(world.env)), world));
      } catch (error) {
        const isUsage = error instanceof TypeError && !isSystemError(error);
        if (!isUsage && !(error instanceof NetError)) throw error;
        await world.err.write(`millrace stat: ${(error as Error).message}\n`);
        finish(isUsage ? USAGE : FAILED);
      }
    });
  examples(command, [
    ["millrace stat", "all sockets"],
    ["millrace stat -e --why", "whose they are, and why they are accelerated or not"],
    ["millrace stat -ltnp", "TCP servers, in the words of ss"],
    ["millrace stat -i -s 4242:5", "all about one socket"],
    ["millrace stat --watch 2", "every two seconds"],
    ["millrace stat --counters --json", "for programs"],
  ]);
};

const sourceOf = ({ stat: place, control }: EnginePaths): StatSource => ({
  ask: (internals) => askEngine(place, { internals }),
  processes: () => programProcesses(control),
  obstacleOf: obstacles(),
  readFile: readOrNull,
  place,
});

/** Asks and prints, once or again and again; the exit status. */
export async function stat(
  options: StatOptions,
  source: StatSource,
  world: World,
): Promise<number> {
  const { all, connected, listening, tcp, udp, ipv4, ipv6 } = options;
  const chooses = all || connected || listening || tcp || udp || ipv4 || ipv6;
  if (options.socket !== undefined && chooses) {
    const text = "--socket shows one socket: without -a, -c, -l, -t, -u, -4, -6";
    await world.err.write(`millrace stat: ${text}\n`);
    return USAGE;
  }
  const nobody = `millrace: no engine of this user's runs in this network namespace (${source.place}); \`millrace run\` starts one\n`;
  if (options.watch === undefined) {
    const lines = await source.ask(options.internal === true);
    if (lines !== null) return (await print(lines, options, source, world)) ?? DONE;
    await world.err.write(nobody);
    return FAILED;
  }
  // Engines end when nobody needs them and come again with the next program: as `watch ss`, this stays.
  const everyMs = (options.watch === true ? 1 : options.watch) * 1000;
  for (let was: readonly StatLine[] | null | undefined; ; ) {
    const lines = await source.ask(options.internal === true);
    if (lines === null && was !== null && !(await world.err.write(nobody))) return FAILED;
    if (lines !== null) {
      if (was != null && options.json !== true && !world.out.isTerminal)
        await world.out.write("\n");
      const ended = await print(lines, options, source, world);
      if (ended !== null) return ended;
    }
    was = lines;
    if (world.stop.aborted) return DONE;
    try {
      await sleep(everyMs, null, { signal: world.stop });
    } catch {
      return DONE;
    }
  }
}

/** Null: more can be printed; or the exit status. */
async function print(
  lines: readonly StatLine[],
  options: StatOptions,
  source: StatSource,
  world: World,
): Promise<number | null> {
  const all = snapshotOf(lines, source.processes(), source.readFile, source.obstacleOf);
  const [status, text] = show(all, options, source);
  const clear = options.watch !== undefined && world.out.isTerminal ? "\x1b[H\x1b[2J" : "";
  const out = status === DONE ? world.out : world.err;
  const isRead = await out.write(clear + text);
  return isRead && status === DONE ? null : status;
}

function show(all: Snapshot, options: StatOptions, source: StatSource): [number, string] {
  const chosen = { ...all, sockets: all.sockets.filter((socket) => isWanted(socket, options)) };
  if (options.socket !== undefined && chosen.sockets.length === 0) {
    const text = `no program under Millrace has the socket ${options.socket}; millrace stat -e shows them all`;
    return [FAILED, `millrace stat: ${text}\n`];
  }
  if (options.json === true) return [DONE, `${JSON.stringify(chosen)}\n`];
  if (options.counters === true) return [DONE, formatCounters(chosen)];
  const table: TableOptions = {
    extend: options.extend === true || options.processes === true,
    why: options.why === true,
    internals: options.internal === true,
    header: options.header !== false,
    which: which(options),
    userName: userNames(source.readFile("/etc/passwd") ?? ""),
  };
  if (options.socket === undefined) return [DONE, formatTable(chosen.sockets, table)];
  return [DONE, formatSocket(chosen.sockets[0]!, options.socket, table)];
}

function which({ all, connected, listening }: StatOptions): string {
  if (all === true || connected === listening) return "servers and established";
  return connected === true ? "w/o servers" : "only servers";
}

function isWanted(s: StatSocket, o: StatOptions): boolean {
  if (o.socket !== undefined) return s.holders.some(({ pid, fd }) => `${pid}:${fd}` === o.socket);
  const isProtocol = o.tcp === o.udp || (o.tcp === true) === (s.protocol === "tcp");
  const isSide =
    o.all === true || o.listening === o.connected || (o.listening === true) === isListening(s);
  const isFamily = o.ipv4 === o.ipv6 || (o.ipv4 === true) === (s.family === "IPv4");
  return isProtocol && isSide && isFamily;
}

function formatCounters({ engine, interfaces, sessions }: Snapshot): string {
  const block = (title: string, counters: Readonly<Record<string, number>>): string => {
    const width = Math.max(0, ...Object.keys(counters).map((name) => name.length));
    const lines = Object.entries(counters).map(([n, v]) => `    ${n.padEnd(width)}  ${v}\n`);
    return `${title}\n${lines.join("")}`;
  };
  const parts: string[] = [];
  if (engine !== null) {
    const upS = Math.round(engine.upUs / 1e6);
    parts.push(
      block(
        `Engine ${engine.version}, pid ${engine.pid}, profile ${engine.profile}, up ${upS} s`,
        engine.counters,
      ),
    );
  }
  for (const i of interfaces) {
    const addresses = i.addresses.join(" ") || "no address";
    const state = i.isUp ? "up" : "down";
    const title = `Interface ${i.name} (${i.device}, ${state}, MTU ${i.mtuBytes}): ${addresses}`;
    parts.push(block(title, i.counters));
  }
  for (const s of sessions) {
    parts.push(block(`Program ${s.program}, pid ${s.pid}, profile ${s.profile}`, s.counters));
  }
  return parts.join("");
}

/** From a user's number to the name in /etc/passwd. */
function userNames(passwd: string): (uid: number) => string {
  const names = new Map<number, string>();
  for (const line of passwd.split("\n")) {
    const [name, , uid] = line.split(":");
    if (name !== undefined && uid !== undefined) names.set(Number(uid), name);
  }
  return (uid) => names.get(uid) ?? String(uid);
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function pidFd(text: string): string {
  if (!/^\d+:\d+$/.test(text))
    throw new InvalidArgumentError("expected a process and a descriptor, like 4242:5");
  return text;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0.1 && value <= 86_400))
    throw new InvalidArgumentError("expected 0.1 to 86400 seconds");
  return value;
}
