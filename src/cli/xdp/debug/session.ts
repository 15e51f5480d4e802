/** The debugger's commands: text in, text or an object for JSON out. Knows nothing of terminals. */
import type { DecodedProgram } from "../../../ebpf/decode.js";
import { readMap, writable } from "../../../ebpf/map-text.js";
import { verdictName } from "../../../ebpf/xdp-verdict.js";
import { type Breakpoint, parseBreakpoint } from "./breakpoints.js";
import {
  bytesAt,
  entryAt,
  frameBytes,
  functionName,
  hexLines,
  instructionText,
  lineOf,
  lineText,
  packetBytes,
  registersOf,
  shortFile,
} from "./describe.js";
import type { Packets } from "./packets.js";
import type { Place, Stepper } from "./stepper.js";

/** What a command came to. */
export interface Outcome {
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly isOver?: boolean;
}

const POINTED_BYTES = 32;
const WORD_BYTES = 8;
const AROUND = 5;
const MAX_STEPS = 1 << 26;

interface CommandEntry {
  readonly names: readonly string[];
  readonly arguments: string;
  readonly help: string;
  run(argument: string): Outcome;
}

export class Session {
  private readonly packets: Packets;
  private readonly breakpoints: Breakpoint[] = [];
  private nextId = 1;
  private stepper: Stepper;
  /** Lines of `bpf_trace_printk` that were shown. */
  private printed = 0;

  constructor(packets: Packets, first: number) {
    this.packets = packets;
    this.stepper = packets.open(first);
  }

  private readonly commands: readonly CommandEntry[] = [
    {
      names: ["step", "s"],
      arguments: "[N]",
      help: "runs one instruction, or N, into calls",
      run: (text) => this.step(count(text, 1)),
    },
    {
      names: ["next", "n"],
      arguments: "[N]",
      help: "runs to the next source line, over calls",
      run: (text) => this.next(count(text, 1)),
    },
    {
      names: ["continue", "c"],
      arguments: "",
      help: "runs to the next breakpoint, or to the packet's end",
      run: () => this.goOn(),
    },
    {
      names: ["finish", "f"],
      arguments: "",
      help: "runs until this function has returned, or to the packet's end",
      run: () => this.finish(),
    },
    {
      names: ["back", "b"],
      arguments: "[N]",
      help: "goes back one instruction, or N",
      run: (text) => this.back(count(text, 1)),
    },
    {
      names: ["run", "r"],
      arguments: "[PACKET]",
      help: "starts the next packet, or that one; maps are as all before it left them",
      run: (text) => this.start(count(text, this.packets.number + 1)),
    },
    {
      names: ["break"],
      arguments: "[PC|FILE:LINE|:LINE|FUNCTION]",
      help: "stops there; without a place: lists breakpoints",
      run: (text) => this.breakAt(text),
    },
    {
      names: ["delete", "d"],
      arguments: "[N]",
      help: "deletes breakpoint N, or all",
      run: (text) => this.remove(text),
    },
    {
      names: ["where", "w"],
      arguments: "",
      help: "where the packet is, and the calls above",
      run: () => this.where(),
    },
    {
      names: ["list", "l"],
      arguments: "",
      help: "instructions around this one, between source lines",
      run: () => this.list(),
    },
    {
      names: ["print", "p"],
      arguments: "[REGISTER]",
      help: "all registers, or one and what it leads to",
      run: (text) => this.print(text),
    },
    {
      names: ["packet"],
      arguments: "",
      help: "the packet's bytes as they are now",
      run: () => this.packet(),
    },
    {
      names: ["map", "m"],
      arguments: "[NAME]",
      help: "the maps, or the entries of one as they are now",
      run: (text) => this.map(text),
    },
    {
      names: ["stack"],
      arguments: "",
      help: "what is on this function's stack, by distance from r10",
      run: () => this.stack(),
    },
    { names: ["help", "h"], arguments: "", help: "prints this", run: () => this.help() },
    {
      names: ["quit", "q"],
      arguments: "",
      help: "ends",
      run: () => ({ text: "", json: {}, isOver: true }),
    },
  ];

  /** Every name of a command, for completion. */
  get names(): string[] {
    return this.commands.map(({ names }) => names[0]!);
  }

  /** Throws RangeError that says what is wrong with the line. */
  run(line: string): Outcome {
    const [, name, argument] = /^(\S+)\s*(.*?)\s*$/.exec(line.trim()) ?? [];
    const command = this.commands.find(({ names }) => names.includes(name ?? ""));
    if (command === undefined) {
      throw new RangeError(
        `there is no command ${name ?? ""}; there are: ${this.names.join(", ")}`,
      );
    }
    const { text, json, isOver = false } = command.run(argument!);
    return { text, json: { command: command.names[0], ...json }, isOver };
  }

  /** Where the packet is, as after a move. */
  state(): Outcome {
    const { stepper, packets } = this;
    const { ending, place, prints } = stepper;
    const fresh = prints.slice(Math.min(this.printed, prints.length));
    this.printed = prints.length;
    const said = fresh.map((line) => `bpf_trace_printk: ${line}`);
    const about = { packet: packets.number, prints: fresh };
    if (ending !== null) {
      const steps = (place?.step ?? -1) + 1;
      const { problem } = ending;
      const verdict = problem === null ? verdictName(ending.verdict) : null;
      const end = verdict ?? `stopped: ${problem}`;
      return {
        text: [...said, `packet ${packets.number}, after ${steps} instructions: ${end}`].join("\n"),
        json: { ...about, step: steps, verdict, problem },
      };
    }
    const { program, word, step } = place!;
    const source = lineText(program, word);
    const instruction = instructionText(program, word);
    const name = functionName(program, word);
    const head = `packet ${packets.number}, step ${step}, ${name}${source === "" ? "" : `, ${source}`}`;
    return {
      text: [...said, head, `${String(word).padStart(6)}: ${instruction}`].join("\n"),
      json: { ...about, step, function: name, pc: word, instruction, ...sourceOf(place!) },
    };
  }

  /** Who goes as far as the end at most stays there. */
  private get isDone(): boolean {
    return this.stepper.ending !== null;
  }

  private get place(): Place {
    const { place, ending } = this.stepper;
    if (ending === null && place !== null) return place;
    throw new RangeError("the packet is done: back or run goes on");
  }

  private step(n: number): Outcome {
    this.stepper.goTo(this.place.step + n);
    return this.state();
  }

  private next(n: number): Outcome {
    for (let left = n; left > 0 && this.stepper.ending === null; left--) {
      const { program, word, callers } = this.place;
      const line = lineOf(program, word);
      this.stepper.goOn((place) => {
        if (place.callers.length > callers.length) return false;
        if (place.callers.length < callers.length) return true;
        const now = lineOf(place.program, place.word);
        return line === null || now?.line !== line.line || now.file !== line.file;
      });
    }
    return this.state();
  }

  private goOn(): Outcome {
    if (this.isDone) return this.state();
    this.stepper.goOn((place, before) => this.breakpoints.some((one) => one.hits(place, before)));
    return this.state();
  }

  private finish(): Outcome {
    if (this.isDone) return this.state();
    const { callers } = this.place;
    this.stepper.goOn(
      (place, before) =>
        place.callers.length < callers.length ||
        this.breakpoints.some((one) => one.hits(place, before)),
    );
    return this.state();
  }

  private back(n: number): Outcome {
    const { place, ending } = this.stepper;
    const now = (place?.step ?? 0) + (ending === null ? 0 : 1);
    this.stepper.goTo(Math.max(0, now - n));
    this.printed = this.stepper.prints.length;
    return this.state();
  }

  /** Starts a packet; where something stops at its first instruction, `continue` goes past it. */
  private start(packet: number): Outcome {
    this.stepper = this.packets.open(packet);
    this.printed = 0;
    return this.state();
  }

  private get programs(): readonly DecodedProgram[] {
    return this.packets.programs;
  }

  private breakAt(text: string): Outcome {
    if (text !== "") {
      this.breakpoints.push(parseBreakpoint(this.nextId, text, this.programs));
      this.nextId++;
    }
    const list = this.breakpoints.map(({ id, text: at }) => ({ id, at }));
    const lines = list.map(({ id, at }) => `breakpoint ${id} at ${at}`);
    const shown = text === "" ? lines : lines.slice(-1);
    return { text: shown.join("\n") || "no breakpoints", json: { breakpoints: list } };
  }

  private remove(text: string): Outcome {
    if (text === "") this.breakpoints.length = 0;
    else {
      const at = this.breakpoints.findIndex(({ id }) => id === count(text, 0));
      if (at < 0) throw new RangeError(`there is no breakpoint ${text}`);
      this.breakpoints.splice(at, 1);
    }
    return this.breakAt("");
  }

  private where(): Outcome {
    const { text, json } = this.state();
    const callers = (this.stepper.ending === null ? this.place.callers : []).toReversed();
    const lines = callers.map(
      ({ program, word }) =>
        `called at ${word} in ${functionName(program, word)}, ${lineText(program, word)}`,
    );
    const calls = callers.map(({ program, word }) => ({
      pc: word,
      function: functionName(program, word),
    }));
    return { text: [text, ...lines].join("\n"), json: { ...json, callers: calls } };
  }

  private list(): Outcome {
    const { program, word } = this.place;
    const all = program.instructions;
    const at = all.findIndex((one) => one.word === word);
    const part = all.slice(Math.max(0, at - AROUND), at + AROUND + 1);
    const lines: string[] = [];
    let before = "";
    for (const one of part) {
      const source = lineText(program, one.word);
      if (source !== "" && source !== before) lines.push(`; ${source}`);
      before = source;
      const mark = one.word === word ? "=>" : "  ";
      lines.push(`${mark}${String(one.word).padStart(5)}: ${instructionText(program, one.word)}`);
    }
    const json = part.map((one) => ({
      pc: one.word,
      instruction: instructionText(program, one.word),
    }));
    return { text: lines.join("\n"), json: { pc: word, instructions: json } };
  }

  private print(text: string): Outcome {
    const all = registersOf(this.stepper);
    const line = (one: (typeof all)[number]): string =>
      `${one.name.padEnd(3)} ${one.type.padEnd(10)} ${one.text}`;
    if (text === "") {
      return { text: all.map(line).join("\n"), json: { registers: all } };
    }
    const number = /^[rw](\d|10)$/.exec(text)?.[1];
    if (number === undefined) throw new RangeError(`expected r0 to r10, got ${text}`);
    const found = all[Number(number)]!;
    const bytes = bytesAt(this.stepper, Number(number), POINTED_BYTES);
    const at = this.stepper.instance.runtime.registers[2 * Number(number)]!;
    const entry = found.type === "map value" && at !== 0 ? entryAt(this.stepper, at) : null;
    const lines = [line(found), ...hexLines(bytes)];
    if (entry !== null) lines.push(`  ${entry.map.name} has ${JSON.stringify(entry.value)}`);
    const more = entry === null ? {} : { entry: { key: entry.key, value: entry.value } };
    return {
      text: lines.join("\n"),
      json: { register: found, bytes: Buffer.from(bytes).toString("hex"), ...more },
    };
  }

  private packet(): Outcome {
    const bytes = packetBytes(this.stepper);
    return {
      text: [`${bytes.length} bytes`, ...hexLines(bytes)].join("\n"),
      json: { bytes: Buffer.from(bytes).toString("hex") },
    };
  }

  private map(name: string): Outcome {
    const { object, runtime } = this.stepper.instance;
    const names = runtime.maps.map((map) => map.name);
    if (name === "") {
      const lines = runtime.maps.map((map) => `${map.name}: ${map.count} of ${map.maxEntries}`);
      return { text: lines.join("\n") || "no maps", json: { maps: names } };
    }
    const map = runtime.maps.find((one) => one.name === name);
    if (map === undefined) {
      throw new RangeError(`there is no map ${name}; there are: ${names.join(", ") || "none"}`);
    }
    const entries = readMap(object, name, writable(map));
    if (entries === null) throw new RangeError(`${name} is of a kind that has nothing to show`);
    const lines = entries.map(
      ({ key, value }) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`,
    );
    const head = `${name}: ${entries.length} ${entries.length === 1 ? "entry" : "entries"}`;
    return { text: [head, ...lines].join("\n"), json: { map: name, entries } };
  }

  private stack(): Outcome {
    const bytes = frameBytes(this.stepper);
    const words: { at: number; bytes: string }[] = [];
    for (let at = 0; at < bytes.length; at += WORD_BYTES) {
      const word = bytes.subarray(at, at + WORD_BYTES);
      if (word.some((byte) => byte !== 0)) {
        words.push({ at: at - bytes.length, bytes: Buffer.from(word).toString("hex") });
      }
    }
    const lines = words.map(
      ({ at, bytes: hex }) =>
        `  r10${String(at).padEnd(5)} ${hex.replaceAll(/../g, "$& ").trimEnd()}`,
    );
    return { text: lines.join("\n") || "nothing but zeros", json: { stack: words } };
  }

  private help(): Outcome {
    const rows = this.commands.map(({ names, arguments: what, help }) => ({
      usage: `${names.join(", ")} ${what}`.trimEnd(),
      help,
    }));
    const width = Math.max(...rows.map(({ usage }) => usage.length));
    const lines = rows.map(({ usage, help }) => `${usage.padEnd(width)}  ${help}`);
    return { text: lines.join("\n"), json: { commands: rows } };
  }
}

function sourceOf({ program, word }: Place): object {
  const line = lineOf(program, word);
  return line === null ? {} : { file: shortFile(line), line: line.line, source: line.text };
}

function count(text: string, otherwise: number): number {
  if (text === "") return otherwise;
  if (/^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_STEPS) return Number(text);
  throw new RangeError(`expected a number from 1 on, got ${text}`);
}
