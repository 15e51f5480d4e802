/** `millrace capture`: prints, selects and writes the packets of a capture file or a device. */
import { Option } from "commander";
import { NetError } from "../base/errors.js";
import { deviceKinds, openDevice } from "../socket/open-device.js";
import { parseFilter } from "../wire/packet-filter.js";
import type { CaptureOptions } from "./capture-print.js";
import { CaptureRun } from "./capture-run.js";
import type { FileFormat } from "./capture-write.js";
import { type AddCommand, examples } from "./command.js";
import { DeviceSource, FileSource, type PacketSource } from "./packet-source.js";
import { FAILED, isSystemError, USAGE, type World } from "./world.js";

/** The options as commander names them. */
interface Options extends CaptureOptions {
  readonly read?: string;
  readonly interface?: string;
  readonly write?: string;
  readonly format?: FileFormat;
  readonly count?: number;
  readonly print?: boolean;
}

const count = (_value: unknown, before: number): number => before + 1;

export const addCapture: AddCommand = (program, world, finish) => {
  const command = program
    .command("capture")
    .summary("print and write packets of a capture file or a device")
    .description("Prints one line a packet, in tcpdump's words, from a capture file or a device.")
    .argument("[filter...]", "which packets: `tcp and port 80`, `host 10.0.0.1 or arp`, …")
    .option("-r, --read <file>", "read a pcap or pcapng file; - is the standard input")
    .option("-i, --interface <device>", `read a device: ${deviceKinds()}`)
    .option(
      "-w, --write <file>",
      "write the packets instead of printing them; - is the standard output",
    )
    .addOption(
      new Option("--format <name>", "format to write; by default from the file's name").choices([
        "pcapng",
        "pcap",
      ]),
    )
    .option("--print", "print the packets also when they are written")
    .option("-c, --count <n>", "stop after so many packets", wholeNumber)
    .option("-e", "print the link-level header")
    .option("-v", "print more of the headers, and whether checksums are right")
    .option("-q", "print less: protocol and length")
    .option("-S", "print TCP sequence numbers as they are, not from the connection's start")
    .option(
      "-t",
      "no time; -tt seconds since 1970, -ttt since the packet before, -tttt with date",
      count,
      0,
    )
    .option("-x", "print the bytes after the link-level header; -xx all bytes", count, 0)
    .option("-X", "as -x, with text; -XX all bytes", count, 0)
    .option("--nano", "print nanoseconds")
    .option("--json", "print one JSON object a packet")
    .option("-n", "accepted and ignored: names are never looked up")
    .action(async (filter: string[], options: Options) => {
      finish(await capture(filter.join(" "), options, world));
    });
  examples(command, [
    ["millrace capture -r web.pcap", "one line a packet"],
    ["millrace capture -r web.pcap -c 10 'tcp and port 80'", "ten packets of some"],
    ["millrace capture -r web.pcapng -w few.pcap host 10.0.0.1", "write some to another file"],
    ["millrace capture -i tap0 -e -v", "what Linux sends to a TAP interface"],
    ["ssh host tcpdump -w - | millrace capture -r - --json", "from a pipe, for programs"],
  ]);
};

function wholeNumber(text: string): number {
  const value = Number(text);
  return /^[1-9]\d{0,14}$/.test(text) ? value : Number.NaN;
}

/** Runs the command; see the file header. */
async function capture(filterText: string, options: Options, world: World): Promise<number> {
  const usage = async (message: string): Promise<number> => {
    await world.err.write(`millrace capture: ${message}\n(see millrace capture --help)\n`);
    return USAGE;
  };
  if ((options.read === undefined) === (options.interface === undefined)) {
    return usage("expected one of -r FILE and -i DEVICE");
  }
  if (Number.isNaN(options.count)) return usage("-c: expected a whole number above 0");
  const filter = parseFilter(filterText);
  if ("message" in filter) {
    const mark = `  ${filterText}\n  ${" ".repeat(filter.column - 1)}^`;
    return usage(`filter, column ${filter.column}: ${filter.message}\n${mark}`);
  }
  const opened = openSource(options, world);
  if (typeof opened === "string") return usage(opened);
  if ("failure" in opened) {
    await world.err.write(`millrace capture: ${opened.failure}\n`);
    return FAILED;
  }
  return new CaptureRun(opened, filter, options, world).run();
}

/** The source, or what is wrong with how it was named (text), or why it cannot be opened. */
function openSource(options: Options, world: World): PacketSource | string | { failure: string } {
  if (options.read !== undefined) return new FileSource(options.read, world.input);
  try {
    return new DeviceSource(openDevice(options.interface!));
  } catch (error) {
    if (error instanceof TypeError) return `-i: ${error.message}`;
    if (error instanceof NetError || isSystemError(error)) {
      return { failure: `${options.interface}: ${error.message}` };
    }
    throw error;
  }
}
