/** `millrace perf`: latency and throughput between two ends, either of which may be sockperf. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { deviceKinds } from "../socket/open-device.js";
import { type AddCommand, examples } from "./command.js";
import { inlineMore } from "./inline-more.js";
import { HEADER_BYTES, MAX_BYTES } from "./perf/message.js";
import { type PerfOptions, runClient, runServer, type TestName } from "./perf/run.js";
import type { World } from "./world.js";

const DEFAULT_PORT = 11_111;
const DEFAULT_UNDER_LOAD_MPS = 10_000;
const DEFAULT_REPLY_EVERY = 100;
const DEFAULT_WARM_UP_S = 0.4;
/** The shortest measurement: in less nothing is measured. */
const MILLISECOND_S = 0.001;

export const addPerf: AddCommand = (program, world, finish) => {
  const perf = program
    .command("perf")
    .summary("measure latency and throughput, with sockperf's messages")
    .description(
      "Measures latency and throughput between two ends, over any NIC of Millrace's or over kernel\n" +
        "sockets. Speaks sockperf's message format: either end may be the real sockperf 3.7.\n" +
        "Exit status: 0 done, 1 the test failed (nobody answered, the server went away), 2 wrong usage.",
    )
    .helpCommand(false);
  examples(perf, [
    ["millrace perf server", "answers on UDP port 11111, over kernel sockets"],
    ["millrace perf ping-pong -i 10.0.0.1", "latency to it, one message at a time"],
    ["millrace perf ping-pong --nic sim", "of two Millrace stacks in this process"],
    ["millrace perf server --nic tap0 --address 10.0.0.2/24", "a Millrace host behind a TAP"],
    ["sockperf ping-pong -i 10.0.0.2", "the real sockperf as its client"],
    ["millrace perf throughput -i 10.0.0.1 --tcp -m 1472", "how much goes through"],
  ]);
  addServer(perf, world, finish);
  const tests: [TestName, string, string][] = [
    ["ping-pong", "pp", "latency: each message waits for the reply to the one before"],
    ["under-load", "ul", "latency while messages are sent at a steady rate"],
    ["throughput", "tp", "messages and bytes a second, one way, without replies"],
    ["playback", "pb", "latency while a recorded load is sent again"],
  ];
  for (const [name, alias, summary] of tests) {
    const command = perf
      .command(name)
      .alias(alias)
      .summary(summary)
      .description(`Measures ${summary}.`);
    addCommon(command);
    addClientOptions(command, name);
    addClientExamples(command, name);
    command.action(async (options: PerfOptions) => {
      if (name === "ping-pong") inlineMore();
      finish(await runClient(name, options, world));
    });
  }
};

function addServer(perf: Command, world: World, finish: (status: number) => void): void {
  const command = perf
    .command("server")
    .alias("sr")
    .summary("receive, count and answer messages until Ctrl-C")
    .description("Receives, counts and answers messages until Ctrl-C, then says what came.");
  addCommon(command);
  command
    .option("--dont-reply", "answer nothing")
    .option("--force-unicast-reply", "answer who sent to a group, not the group")
    .addOption(timeOption("-t, --time <s>", "end by itself after so many seconds"))
    .option("--json", "print one JSON object at the end")
    .action(async (options: PerfOptions) => {
      finish(await runServer(options, world));
    });
  examples(command, [
    ["millrace perf server", "UDP port 11111, over kernel sockets"],
    ["millrace perf server --tcp --block", "TCP, asleep while nothing comes"],
    ["millrace perf server --nic tap0 --address 10.0.0.2/24", "a Millrace host behind a TAP"],
    ["millrace perf server -i 224.4.4.4 --mc-if eth0", "a multicast group"],
  ]);
}

/** Options of both sides. */
function addCommon(command: Command): void {
  const collect = (value: string, all: string[]): string[] => [...all, value];
  command
    .option(
      "-n, --nic <nic>",
      `kernel: the kernel's sockets; node: Node.js's; sim: two stacks in this process; or a device: ${deviceKinds()}`,
      "kernel",
    )
    .option(
      "--address <address/bits>",
      "address of the stack on a device; may be given again",
      collect,
      [],
    )
    .option("--gateway <address>", "its router; may be given again, for IPv6", collect, [])
    .addOption(numberOption("--mtu <bytes>", "its MTU, at most the device's", 68, 65_536))
    .option("-i, --ip <address>", "the server's address, or a multicast group")
    .addOption(
      numberOption("-p, --port <port>", "the server's port", 1, 65_535).default(DEFAULT_PORT),
    )
    .option("--tcp", "TCP; UDP otherwise")
    .option("--block", "sleep until a message comes; otherwise spin, which takes a whole processor")
    .addOption(numberOption("--buffer-size <bytes>", "socket buffers", 1, 1 << 30))
    .option(
      "--mc-if <interface>",
      "interface for groups, by name or number; the route decides otherwise",
    )
    .addOption(numberOption("--mc-ttl <hops>", "how far groups reach", 0, 255).default(2))
    .option("--mc-loopback-enable", "groups are heard on this host too");
}

function addClientOptions(command: Command, test: TestName): void {
  const isPlayback = test === "playback";
  const hasReplies = test !== "throughput";
  if (isPlayback) command.requiredOption("--data-file <file>", "lines of `seconds, bytes`");
  else {
    const sizes = (flags: string, what: string, least: number) =>
      numberOption(flags, what, least, MAX_BYTES);
    command
      .addOption(
        sizes("-m, --msg-size <bytes>", "length of a message", HEADER_BYTES).default(HEADER_BYTES),
      )
      .addOption(
        sizes("-r, --range <bytes>", "vary the length by so much, at random", 0).default(0),
      )
      .addOption(timeOption("-t, --time <s>", "seconds to measure", MILLISECOND_S).default(1))
      .addOption(numberOption("-c, --count <n>", "end after so many messages", 1, 1e15))
      .addOption(rateOption(test))
      .addOption(numberOption("-b, --burst <n>", "messages sent together", 1, 65_536).default(1));
  }
  command
    .addOption(
      timeOption("--warmup <s>", "seconds before, not counted").default(
        isPlayback ? 0 : DEFAULT_WARM_UP_S,
      ),
    )
    .addOption(
      numberOption("--client-port <port>", "local port; any otherwise", 0, 65_535).default(0),
    )
    .option("--json", "print one JSON object");
  if (test === "throughput") {
    command.option("--no-delay", "TCP: send small messages at once; they are gathered otherwise");
    return;
  }
  if (hasReplies && test !== "ping-pong") {
    const every = numberOption("--reply-every <n>", "ask for a reply to every nth message", 1, 1e9);
    command.addOption(every.default(DEFAULT_REPLY_EVERY));
  }
  command
    .addOption(timeOption("--reply-timeout <s>", "a reply that takes longer is lost").default(1))
    .option("--full-rtt", "whole round trips; half of them, as sockperf's latency, otherwise")
    .option("--csv <file>", "write when each message was sent and answered")
    .option("--plot", "print a histogram of the latencies")
    .option("--plot-file <file>", "draw it into a file: .svg or .html");
}

function addClientExamples(command: Command, test: TestName): void {
  const run = `millrace perf ${test}`;
  const more: Readonly<Record<TestName, readonly (readonly [string, string])[]>> = {
    "ping-pong": [
      [`${run} -i 10.0.0.1`, "a second of messages of 14 bytes over kernel sockets"],
      [`${run} -i 10.0.0.1 --tcp -m 64 -t 10 --plot`, "ten seconds over TCP, with a histogram"],
      [`${run} -i 10.0.0.1 --nic tap0 --address 10.0.0.2/24`, "from a Millrace host"],
    ],
    "under-load": [
      [`${run} -i 10.0.0.1 --mps 50000`, "50,000 messages a second, every 100th answered"],
      [`${run} -i 10.0.0.1 --mps 1000 -b 10 --reply-every 1`, "in bursts of ten, all answered"],
    ],
    throughput: [
      [`${run} -i 10.0.0.1 -m 1472`, "as many datagrams as go out"],
      [`${run} -i 10.0.0.1 --tcp -m 65000`, "bulk over TCP"],
    ],
    playback: [[`${run} -i 10.0.0.1 --data-file load.csv`, "lines such as 0.25, 100"]],
  };
  examples(command, more[test]);
}

function rateOption(test: TestName): Option {
  const initial = test === "under-load" ? DEFAULT_UNDER_LOAD_MPS : Number.POSITIVE_INFINITY;
  return new Option("--mps <n>", "messages a second, or max")
    .argParser((text) => {
      if (text === "max") return Number.POSITIVE_INFINITY;
      const n = Number(text);
      if (n > 0 && n <= 1e9) return n;
      throw new InvalidArgumentError("expected messages a second, or max");
    })
    .default(initial, initial === Number.POSITIVE_INFINITY ? "max" : `${initial}`);
}

function numberOption(flags: string, what: string, least: number, most: number): Option {
  return new Option(flags, what).argParser((text) => {
    const n = Number(text);
    if (/^\d+$/.test(text) && n >= least && n <= most) return n;
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
  });
}

function timeOption(flags: string, what: string, least = 0): Option {
  const more = least > 0 ? `, at least ${least}` : "";
  return new Option(flags, what).argParser((text) => {
    const s = Number(text);
    if (text.trim() !== "" && s >= least && s <= 36e6) return s;
    throw new InvalidArgumentError(`expected seconds, such as 10 or 0.5${more}`);
  });
}
