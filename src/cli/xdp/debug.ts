/** `millrace xdp debug`: a packet through a program, instruction by instruction. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { type Command, InvalidArgumentError } from "commander";
import { instanceMap } from "../../ebpf/map-text.js";
import { examples } from "../command.js";
import { DONE, FAILED, type World } from "../world.js";
import { Packets } from "./debug/packets.js";
import { type Outcome, Session } from "./debug/session.js";
import { fillMap, parseMapOption } from "./map-file.js";
import { mapFiles, mapSizes } from "./map-options.js";
import { chooseProgram, type ObjectOptions, readObject, reporting } from "./object-file.js";
import { onlyOnce } from "./only-once.js";
import { capturedOf } from "./page/captured.js";
import { parseSizes } from "./runner.js";

export interface DebugOptions extends ObjectOptions {
  readonly in: string;
  readonly packet: number;
  readonly map?: readonly string[];
  readonly maxEntries?: readonly string[];
  readonly commands?: string;
  readonly execute?: readonly string[];
}

export function addDebug(xdp: Command, world: World, finish: (status: number) => void): void {
  const list = (value: string, before: readonly string[] = []): readonly string[] => [
    ...before,
    value,
  ];
  const command = xdp
    .command("debug")
    .summary("step through a program with a packet, forwards and backwards")
    .description(
      "Runs a program on a packet of a capture, instruction by instruction, and shows registers in their types, " +
        "source lines, packet, stack and maps. Type help for the commands. They may also come from -e, from a " +
        "file, or from a standard input that is no terminal; one that fails then ends it with status 1.",
    )
    .argument("<object>", "object file, or text: FILE.s (docs/ebpf.md)")
    .requiredOption("--in <file>", "pcap or pcapng file to read", onlyOnce("--in"))
    .option("--packet <n>", "start with this packet, from 1", packetNumber, 1)
    .option("-e, --execute <commands>", "run these, separated by semicolons, and end", list)
    .option("--commands <file>", "run a file's lines, and end")
    .option("-p, --program <name>", "which program, when the object has several")
    .option("--btf <file>", "types for CO-RE relocations, such as /sys/kernel/btf/vmlinux")
    .option("--map <name=file>", "put a JSON file's entries into a map (may be repeated)", mapFiles)
    .option("--max-entries <map=n>", "size of a map (may be repeated)", mapSizes)
    .option("--json", "print one JSON object for each command")
    .action(async (file: string, options: DebugOptions) => {
      finish(await reporting("debug", world, () => debugProgram(file, options, world)));
    });
  examples(command, [
    ["millrace xdp debug filter.o --in a.pcap --packet 7", "by hand"],
    ["millrace xdp debug filter.o --in a.pcap -e 'break 12; continue; print r1'", "by script"],
    ["millrace xdp debug filter.o --in a.pcap -e 'break :27; continue' --json", "for scripts"],
  ]);
}

function packetNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("expected a number from 1 on");
}

/** Returns the exit status. */
export async function debugProgram(
  file: string,
  options: DebugOptions,
  world: World,
): Promise<number> {
  const session = openSession(file, options);
  const talk = new Talk(session, options.json === true, world);
  await talk.show(session.state());
  if (options.commands !== undefined || options.execute !== undefined) {
    const lines = (options.execute ?? []).flatMap((text) => text.split(";"));
    if (options.commands !== undefined)
      lines.push(...readFileSync(options.commands, "utf8").split("\n"));
    return talk.script(lines);
  }
  const isTerminal = world.input === process.stdin && process.stdin.isTTY === true;
  return isTerminal ? talk.converse() : talk.script(linesOf(world));
}

function openSession(file: string, options: DebugOptions): Session {
  const object = readObject(file, options);
  const { name } = chooseProgram(object, options.program);
  const packets = new Packets(object, capturedOf(options.in), {
    program: name,
    maxEntries: parseSizes(object, options.maxEntries),
    fill(instance) {
      for (const text of options.map ?? []) {
        const [map, entries] = parseMapOption(text);
        fillMap(object, map, entries, instanceMap(instance, map));
      }
    },
  });
  return new Session(packets, options.packet);
}

/** Lines as they come, so that whoever writes the script can wait for answers. */
async function* linesOf(world: World): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of world.input) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

class Talk {
  private readonly session: Session;
  private readonly isJson: boolean;
  private readonly world: World;

  constructor(session: Session, isJson: boolean, world: World) {
    this.session = session;
    this.isJson = isJson;
    this.world = world;
  }

  /** False when nobody reads any more. */
  show({ text, json }: Outcome): Promise<boolean> {
    if (this.isJson) return this.world.out.write(`${JSON.stringify(json)}\n`);
    return text === "" ? Promise.resolve(true) : this.world.out.write(`${text}\n`);
  }

  /** Empty lines and comments (`#`) are nothing. */
  async script(lines: Iterable<string> | AsyncIterable<string>): Promise<number> {
    for await (const line of lines) {
      const command = line.trim();
      if (command === "" || command.startsWith("#")) continue;
      if (this.world.stop.aborted) return DONE;
      let outcome: Outcome;
      try {
        outcome = this.session.run(command);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        await this.world.err.write(`millrace xdp debug: ${command}: ${error.message}\n`);
        return FAILED;
      }
      if (outcome.isOver === true || !(await this.show(outcome))) return DONE;
    }
    return DONE;
  }

  /** With a person: an empty line does the last command again. */
  async converse(): Promise<number> {
    const { session, world } = this;
    const reader = createInterface({
      input: process.stdin,
      output: process.stdout,
      prompt: "(xdp) ",
      completer: (line: string) => [session.names.filter((name) => name.startsWith(line)), line],
    });
    reader.on("SIGINT", () => reader.close());
    world.stop.addEventListener("abort", () => reader.close(), { once: true });
    let last = "";
    reader.prompt();
    for await (const line of reader) {
      const command = line.trim() || last;
      last = command;
      if (command !== "" && (await this.answer(command))) break;
      reader.prompt();
    }
    reader.close();
    return DONE;
  }

  /** True when it is over. */
  private async answer(command: string): Promise<boolean> {
    try {
      const outcome = this.session.run(command);
      return !(await this.show(outcome)) || outcome.isOver === true;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      await this.world.out.write(`${error.message}\n`);
      return false;
    }
  }
}
