/** `millrace stat`: the sockets of all programs that run under Millrace, accelerated or not. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError } from "commander";
import type { StatLine, StatSocket } from "../engine/stat-message.js";
import { type AddCommand, examples } from "./command.js";
import { currentEngine } from "./engine-start.js";
import { type ProgramProcess, programProcesses } from "./program-sockets.js";
import { askEngine } from "./stat-client.js";
import { type Snapshot, snapshotOf } from "./stat-snapshot.js";
import { formatSocket, formatTable, isListening, type TableOptions } from "./stat-table.js";
import { DONE, FAILED, USAGE, type World } from "./world.js";

interface StatOptions {
  readonly connected?: boolean;
  readonly listening?: boolean;
  readonly tcp?: boolean;
  readonly udp?: boolean;
  readonly extend?: boolean;
  readonly internal?: boolean;
  readonly socket?: string;
  readonly why?: boolean;
  readonly counters?: boolean;
  readonly json?: boolean;
  readonly watch?: number | true;
}

/** What was asked, and what else the command looks at; tests give their own. */
export interface StatSource {
  readonly ask: (internals: boolean) => Promise<readonly StatLine[] | null>;
  /** The programs under the engine, whether they use it or not. */
  readonly processes: () => readonly ProgramProcess[];
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
        "Send-Q: bytes that the peer has not acknowledged.\n" +
        "Path: who carries the socket, millrace or the kernel; --why says why.\n" +
        "Exit status: 0 shown, 1 no engine runs or there is no such socket, 2 wrong usage.",
    )
    .option("-c, --connected", "only sockets with a peer")
    .option("-l, --listening", "only sockets without a peer: servers")
    .option("-t, --tcp", "only TCP")
    .option("-u, --udp", "only UDP")
    .option("-e, --extend", "show user, PID:FD and program")
    .option("-i, --internal", "show the insides of connections")
    .option("-s, --socket <PID:FD>", "show one socket", pidFd)
    .option("--why", "show why each socket is accelerated or not")
    .option("--counters", "show the counters of engine, interfaces and programs instead")
    .option("--json", "print one JSON object")
    .option("--watch [SECONDS]", "again and again, every second or so many", seconds)
    .action(async (options: StatOptions) => {
      const paths = currentEngine(world.env);
      const source: StatSource = {
        ask: (internals) => askEngine(paths.stat, { internals }),
        processes: () => programProcesses(paths.control),
        readFile: readOrNull,
        place: paths.stat,
      };
      finish(await stat(options, source, world));
    });
  examples(command, [
    ["millrace stat", "all sockets"],
    ["millrace stat -e --why", "whose they are, and why they are accelerated or not"],
    ["millrace stat -t -l", "TCP servers"],
    ["millrace stat -i -s 4242:5", "all about one socket"],
    ["millrace stat --watch 2", "every two seconds"],
    ["millrace stat --counters --json", "for programs"],
  ]);
};

/** Asks and prints, once or again and again; the exit status. */
export async function stat(
  options: StatOptions,
  source: StatSource,
  world: World,
): Promise<number> {
  const { connected, listening, tcp, udp } = options;
  if (options.socket !== undefined && (connected || listening || tcp || udp)) {
    await world.err.write("millrace stat: --socket shows one socket: without -c, -l, -t, -u\n");
    return USAGE;
  }
  for (;;) {
    const lines = await source.ask(options.internal === true);
    if (lines === null) {
      await world.err.write(
        `millrace: no engine runs in this network namespace (${source.place}); \`millrace run\` starts one\n`,
      );
      return FAILED;
    }
    const [status, text] = show(
      snapshotOf(lines, source.processes(), source.readFile),
      options,
      source,
    );
    const clear = options.watch !== undefined && world.out.isTerminal ? "\x1b[H\x1b[2J" : "";
    const out = status === DONE ? world.out : world.err;
    if (!(await out.write(clear + text)) || status !== DONE) return status;
    if (options.watch === undefined || world.stop.aborted) return DONE;
    try {
      await sleep((options.watch === true ? 1 : options.watch) * 1000, null, {
        signal: world.stop,
      });
    } catch {
      return DONE;
    }
    if (options.json !== true && clear === "") await world.out.write("\n");
  }
}

function show(all: Snapshot, options: StatOptions, source: StatSource): [number, string] {
  const chosen = { ...all, sockets: all.sockets.filter((socket) => isWanted(socket, options)) };
  if (options.socket !== undefined && chosen.sockets.length === 0) {
    return [FAILED, `Socket ${options.socket} not found (no socket of a program under Millrace)\n`];
  }
  if (options.json === true) return [DONE, `${JSON.stringify(chosen)}\n`];
  if (options.counters === true) return [DONE, formatCounters(chosen)];
  const table: TableOptions = {
    extend: options.extend === true,
    why: options.why === true,
    internals: options.internal === true,
    which: which(options),
    userName: userNames(source.readFile("/etc/passwd") ?? ""),
  };
  if (options.socket === undefined) return [DONE, formatTable(chosen.sockets, table)];
  return [DONE, formatSocket(chosen.sockets[0]!, options.socket, table)];
}

function which({ connected, listening }: StatOptions): string {
  if (connected === listening) return "servers and established";
  return connected === true ? "w/o servers" : "only servers";
}

function isWanted(s: StatSocket, o: StatOptions): boolean {
  if (o.socket !== undefined) return s.holders.some(({ pid, fd }) => `${pid}:${fd}` === o.socket);
  const isProtocol = o.tcp === o.udp || (o.tcp === true) === (s.protocol === "tcp");
  const isSide = o.listening === o.connected || (o.listening === true) === isListening(s);
  return isProtocol && isSide;
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
