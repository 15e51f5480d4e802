/** `millrace xdp serve`: the page, until Ctrl-C. */
import { once } from "node:events";
import type { Server } from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";
import { basename } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { EbpfError } from "../../ebpf/ebpf-error.js";
import { examples } from "../command.js";
import { DONE, type World } from "../world.js";
import { parseMapOption } from "./map-file.js";
import { mapFiles, mapSizes } from "./map-options.js";
import { readBytes, readObject, reporting } from "./object-file.js";
import { onlyOnce } from "./only-once.js";
import { capturedOf } from "./page/captured.js";
import { Desk, type DeskOptions, type NamedFile } from "./page/desk.js";
import { pageServer } from "./page/server.js";
import { parseSizes } from "./runner.js";

export interface ServeOptions {
  readonly in?: string;
  readonly program?: string;
  readonly btf?: string;
  readonly map?: readonly string[];
  readonly maxEntries?: readonly string[];
  readonly listen?: ListenAt;
  readonly json?: boolean;
}

export interface ListenAt {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_HOST = "127.0.0.1";

export function addServe(xdp: Command, world: World, finish: (status: number) => void): void {
  const command = xdp
    .command("serve")
    .summary("a web page on which to look at a program, its paths, packets and trace cache")
    .description(
      "Serves a web page until Ctrl-C: choose an object and a capture there, or name them here. It shows the " +
        "paths that packets take, what the program does to each, and what a cache of traces would hold.",
    )
    .argument("[object]", "object file, or text: FILE.s (docs/ebpf.md)")
    .option("--in <file>", "pcap or pcapng file", onlyOnce("--in"))
    .option("-p, --program <name>", "which program, when the object has several")
    .option("--btf <file>", "types for CO-RE relocations, such as /sys/kernel/btf/vmlinux")
    .option("--map <name=file>", "put a JSON file's entries into a map (may be repeated)", mapFiles)
    .option("--max-entries <map=n>", "size of a map (may be repeated)", mapSizes)
    .option("--listen <address>", "[HOST:]PORT; by default a free port of 127.0.0.1", parseListen)
    .option("--json", "print the address as one JSON object")
    .action(async (file: string | undefined, options: ServeOptions) => {
      finish(await reporting("serve", world, () => servePage(file, options, world)));
    });
  examples(command, [
    ["millrace xdp serve", "an empty page: choose files there"],
    ["millrace xdp serve filter.o --in a.pcap", "with an object and a capture"],
    ["millrace xdp serve filter.o --in a.pcap --listen 8080", "always at the same address"],
  ]);
}

/** `8080`, `localhost:8080`, `[::1]:8080`. */
export function parseListen(text: string): ListenAt {
  const found = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port > 65_535) {
    throw new InvalidArgumentError("Expected PORT or HOST:PORT, such as 127.0.0.1:8080.");
  }
  return { host: found[1] ?? found[2] ?? DEFAULT_HOST, port };
}

/** Returns the exit status. */
export async function servePage(
  file: string | undefined,
  options: ServeOptions,
  world: World,
): Promise<number> {
  const maps = (options.map ?? []).map((text) => {
    const [map, source] = parseMapOption(text);
    return { map, text: Buffer.from(readBytes(source)).toString("utf8"), source };
  });
  const given = {
    object: named(file),
    capture: named(options.in),
    program: options.program ?? null,
    btf: options.btf === undefined ? null : new Uint8Array(readBytes(options.btf)),
    maps,
    maxEntries: parseSizes(null, options.maxEntries),
  };
  await expectReadable(file, options, given);
  const desk = new Desk(given);
  const { listen: at = { host: DEFAULT_HOST, port: 0 } } = options;
  const { host } = at;
  const server = pageServer(desk, host);
  try {
    await listen(server, at);
    const { port } = server.address() as AddressInfo;
    const url = `http://${isIPv6(host) ? `[${host}]` : host}:${port}/`;
    await world.out.write(
      options.json === true
        ? `${JSON.stringify({ url })}\n`
        : `millrace xdp: open ${url} in a browser; Ctrl-C ends\n`,
    );
    if (!world.stop.aborted) await once(world.stop, "abort");
    return DONE;
  } finally {
    server.close();
    server.closeAllConnections();
    desk.close();
  }
}

/** A pcap file with an Ethernet frame of zeros (pcap-savefile(5)): something must run. */
const ONE_FRAME: NamedFile = { name: "a frame of zeros", bytes: new Uint8Array(24 + 16 + 60) };
const HEADERS = [0xa1b2c3d4, 0x0004_0002, 0, 0, 65_535, 1, 0, 0, 60, 60];
ONE_FRAME.bytes.set(new Uint8Array(Uint32Array.from(HEADERS).buffer));

/** Files of the command line are the user's to put right now; those that come over the page, there. */
async function expectReadable(
  file: string | undefined,
  options: ServeOptions,
  given: DeskOptions,
): Promise<void> {
  if (file !== undefined) parseSizes(readObject(file, options), options.maxEntries);
  if (options.in !== undefined) capturedOf(options.in);
  // Without a capture the program is all the same verified.
  const desk = new Desk({ ...given, capture: given.capture ?? ONE_FRAME });
  const { problem } = await desk.overview().finally(() => desk.close());
  if (problem === null) return;
  const { about, message, advice } = problem;
  const what = about === "capture" ? options.in : file;
  const end = advice === "" ? "" : `\n${advice}`;
  throw new EbpfError("EINVAL", `${what}: ${message}${end}`);
}

function named(file: string | undefined): NamedFile | null {
  if (file === undefined) return null;
  return { name: basename(file), bytes: new Uint8Array(readBytes(file)) };
}

function listen(server: Server, { host, port }: ListenAt): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === "EADDRINUSE";
      const advice = isTaken ? "it is taken; choose another with --listen" : error.message;
      reject(new EbpfError("EINVAL", `cannot listen on ${host}:${port}: ${advice}`));
    });
    server.listen(port, host, () => resolve());
  });
}
