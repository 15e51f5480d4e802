/** `millrace xdp`: run, check, read and load XDP programs. */
import { type Command, Option } from "commander";
import { POLICY_NAMES } from "../xdp/cache-policies.js";
import { TABLE_NAMES } from "../xdp/evaluation-report.js";
import { type AddCommand, examples } from "./command.js";
import type { World } from "./world.js";
import { checkPrograms } from "./xdp/check.js";
import { addDebug } from "./xdp/debug.js";
import { type DisasmOptions, disassembleObject } from "./xdp/disasm.js";
import { type EvalOptions, evaluatePrograms } from "./xdp/eval.js";
import { allAtLeast, atLeast, someOf } from "./xdp/eval-options.js";
import { type LoadOptions, loadProgram } from "./xdp/load.js";
import { mapFiles, mapSizes } from "./xdp/map-options.js";
import { type ObjectOptions, reporting } from "./xdp/object-file.js";
import { type RunOptions, runProgram } from "./xdp/run.js";
import { ENGINE_NAMES } from "./xdp/runner.js";
import { addServe } from "./xdp/serve.js";
import { type TraceOptions, traceProgram } from "./xdp/trace.js";

type Finish = (status: number) => void;

const list = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

export const addXdp: AddCommand = (program, world, finish) => {
  const xdp = program
    .command("xdp")
    .summary("run, check and read XDP programs as clang makes them")
    .description(
      "Works with object files of XDP programs (clang -O2 -g -target bpf -c).\n" +
        "Exit status: 0 done, 1 it failed or a program is refused, 2 wrong usage.",
    )
    .helpCommand(false);
  examples(xdp, [
    ["millrace xdp run filter.o --in a.pcap", "verdicts of a program on a capture"],
    [
      "millrace xdp run nat.o --in a.pcap --out b.pcap --dump",
      "what it lets through, and its maps",
    ],
    ["millrace xdp run lb.o --in a.pcap --map services=services.json", "with entries in a map"],
    ["millrace xdp trace filter.o --in a.pcap", "the paths that packets take, and when"],
    ["millrace xdp serve filter.o --in a.pcap", "the same on a web page, packet by packet"],
    ["millrace xdp debug filter.o --in a.pcap --packet 7", "instruction by instruction"],
    ["millrace xdp check filter.o", "what the verifier says, with source lines"],
    ["millrace xdp disasm filter.o", "instructions between source lines"],
    ["millrace xdp eval filter.o --in captures/", "what a programmable NIC would make of it"],
    ["millrace xdp load filter.o --dev eth0", "in the kernel, until Ctrl-C"],
  ]);
  addRun(xdp, world, finish);
  addTrace(xdp, world, finish);
  addServe(xdp, world, finish);
  addDebug(xdp, world, finish);
  addCheck(xdp, world, finish);
  addDisasm(xdp, world, finish);
  addEval(xdp, world, finish);
  addLoad(xdp, world, finish);
  for (const command of xdp.commands) {
    command.showHelpAfterError(`(see millrace xdp ${command.name()} --help)`);
  }
};

const SPECIALISE =
  "what this array holds is part of the traces until it is written (docs/traces.md; may be repeated)";

function withObject(command: Command): Command {
  return withTypes(command.argument("<object>", "object file, or text: FILE.s (docs/ebpf.md)"));
}

function withTypes(command: Command): Command {
  return command
    .option("-p, --program <name>", "which program, when the object has several")
    .option("--btf <file>", "types for CO-RE relocations, such as /sys/kernel/btf/vmlinux");
}

function withMaps(command: Command): Command {
  return command
    .option(
      "--map <name=file>",
      "put the entries of a JSON file into a map (may be repeated)",
      mapFiles,
    )
    .option("--max-entries <map=n>", "size of a map (may be repeated)", mapSizes)
    .option("--dump", "print the maps afterwards");
}

function addRun(xdp: Command, world: World, finish: Finish): void {
  const command = withMaps(withObject(xdp.command("run")))
    .summary("run a program on the packets of a capture file")
    .description(
      "Runs a program on the Ethernet frames of capture files, and counts its verdicts. The time that it " +
        "sees is the capture's, and random numbers are always the same (but in the kernel).",
    )
    .requiredOption(
      "--in <file>",
      "pcap or pcapng file to read; - is the standard input (may be repeated)",
      list,
    )
    .option(
      "--out <file>",
      "write the packets that pass, go back or elsewhere, as they are then; - is the standard output, " +
        "all else goes to the standard error then",
    )
    .addOption(
      new Option("--engine <name>", "what runs it").choices([...ENGINE_NAMES]).default("wasm"),
    )
    .option("--specialise <array>", SPECIALISE, list)
    .option("--each", "print each packet's verdict and length")
    .option("--json", "print one JSON object, maps included")
    .action(async (file: string, options: RunOptions) => {
      finish(await reporting("run", world, () => runProgram(file, options, world)));
    });
  examples(command, [
    ["millrace xdp run filter.o --in a.pcap", "verdicts"],
    ["millrace xdp run filter.o --in a.pcap --engine kernel", "the same, by the kernel (root)"],
    ["millrace xdp run counters.o --in a.pcap --dump", "and its counters"],
  ]);
}

function addTrace(xdp: Command, world: World, finish: Finish): void {
  const command = withObject(xdp.command("trace"))
    .summary("show the paths that packets of a capture file take through a program")
    .description(
      "Runs a program on the Ethernet frames of capture files and shows its traces: for each path what " +
        "must hold of packet and maps to take it, what it does, and how many packets took it.",
    )
    .requiredOption(
      "--in <file>",
      "pcap or pcapng file to read; - is the standard input (may be repeated)",
      list,
    )
    .option("--specialise <array>", SPECIALISE, list)
    .option(
      "--map <name=file>",
      "put the entries of a JSON file into a map (may be repeated)",
      mapFiles,
    )
    .option("--max-entries <map=n>", "size of a map (may be repeated)", mapSizes)
    .option("--json", "print one JSON object")
    .action(async (file: string, options: TraceOptions) => {
      finish(await reporting("trace", world, () => traceProgram(file, options, world)));
    });
  examples(command, [
    ["millrace xdp trace filter.o --in a.pcap", "most used first, with source lines"],
  ]);
}

function addCheck(xdp: Command, world: World, finish: Finish): void {
  const command = withTypes(
    xdp.command("check").argument("<object...>", "object files, or text: FILE.s (docs/ebpf.md)"),
  )
    .summary("say whether the verifier takes the programs, and why not")
    .description(
      "Verifies the XDP programs of an object, without the kernel and without privilege.",
    )
    .option("--json", "print one JSON list")
    .action(async (files: string[], options: ObjectOptions) => {
      finish(await reporting("check", world, () => checkPrograms(files, options, world)));
    });
  examples(command, [
    ["millrace xdp check filter.o", "ok, or the reason with instruction and source line"],
    ["millrace xdp check *.o --json", "every program of several objects, for scripts"],
  ]);
}

function addDisasm(xdp: Command, world: World, finish: Finish): void {
  withObject(xdp.command("disasm"))
    .summary("print instructions, with source lines and maps")
    .description("Prints the programs of an object as they would be loaded: linked and relocated.")
    .option("--no-source", "without source lines")
    .option("--json", "print one JSON list")
    .option("--names", "by their names, `add r1, 2`, instead of LLVM's `r1 += 2`")
    .action(async (file: string, options: DisasmOptions) => {
      finish(await reporting("disasm", world, () => disassembleObject(file, options, world)));
    });
}

/** An option that takes several numbers, of at least `least`. */
function numbers(flags: string, description: string, least: number, usual: string): Option {
  const parse = allAtLeast(least);
  return new Option(flags, description).argParser(parse).default(parse(usual), usual);
}

function addEval(xdp: Command, world: World, finish: Finish): void {
  const command = xdp
    .command("eval")
    .summary("evaluate programs on a simulated programmable NIC")
    .description(
      "Runs XDP programs on a mix of captured packets and prints tables: paths and traces, hits of the " +
        "trace cache by size and policy, VLIW cycles, NIC and host, consistency of maps, attacks " +
        "(docs/xdp-evaluation.md).",
    )
    .argument("<object...>", "object files; every XDP program of each")
    .requiredOption("--in <path>", "capture file or folder of them (may be repeated)", list)
    .option("-p, --program <name>", "only this program")
    .option("--btf <file>", "types for CO-RE relocations, such as /sys/kernel/btf/vmlinux")
    .option("--map <name=file>", "put a JSON file's entries into a map (may be repeated)", mapFiles)
    .option("--max-entries <map=n>", "size of a map (may be repeated)", mapSizes)
    .option("--packets <n>", "packets of the mix", atLeast(1), 50_000)
    .option(
      "--tables <names>",
      "some of paths,cache,vliw,nic,state,attack; all by default",
      someOf(TABLE_NAMES),
    )
    .addOption(numbers("--sizes <list>", "entries of caches", 1, "1,2,4,8,16,32,64,128"))
    .addOption(
      numbers("--tcam-sizes <list>", "bits of TCAM of caches", 1, "1024,4096,16384,65536,262144"),
    )
    .option(
      "--policies <list>",
      "some of fifo,lru,clock,lfu,second-miss,tinylfu,belady",
      someOf(POLICY_NAMES),
    )
    .option("--entries <n>", "of the cache for NIC, state and attack", atLeast(1), 16)
    .option(
      "--tcam <bits>",
      "of the same cache; without it only its entries are limited",
      atLeast(1),
    )
    .option(
      "--hostile <n>",
      "bytes changed in each hostile packet's headers; 0: none",
      atLeast(0),
      3,
    )
    .option("--rate <n>", "packets a second that arrive", atLeast(1), 2_000_000)
    .addOption(
      numbers("--updates <list>", "writes a second of the control plane", 0, "0,1000,100000"),
    )
    .option("--seed <n>", "of mix, mutations and arrivals", atLeast(0), 1)
    .option("--markdown", "tables as Markdown")
    .option("--json", "print one JSON object")
    .action(async (files: string[], options: EvalOptions) => {
      finish(await reporting("eval", world, () => evaluatePrograms(files, options, world)));
    });
  examples(command, [
    ["millrace xdp eval filter.o --in captures/", "every table"],
    ["millrace xdp eval *.o --in a.pcap --tables cache --sizes 4,16", "hits of small caches"],
    [
      "millrace xdp eval filter.o --in a.pcap --tables cache --tcam-sizes 4096",
      "a cache of so many bits",
    ],
    ["millrace xdp eval lb.o --in a.pcap --map vips=vips.json --json", "with entries, for scripts"],
  ]);
}

function addLoad(xdp: Command, world: World, finish: Finish): void {
  withMaps(withObject(xdp.command("load")))
    .summary("load a program into the kernel, onto an interface if named")
    .description(
      "Loads a program into the kernel, with its maps filled, and leaves it on an interface until Ctrl-C. " +
        "Needs privilege (see millrace doctor).",
    )
    .option("--dev <interface>", "attach it there until Ctrl-C")
    .option("--json", "as --dump: maps are printed as one JSON object")
    .action(async (file: string, options: LoadOptions) => {
      finish(await reporting("load", world, () => loadProgram(file, options, world)));
    });
}
