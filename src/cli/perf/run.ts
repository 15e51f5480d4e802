/** Runs one test of `millrace perf` from its options to its report and exit status. */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { NetError } from "../../base/errors.js";
import { ANY4, IpAddress } from "../../base/ip-address.js";
import { DONE, FAILED, isSystemError, systemText, USAGE, type World } from "../world.js";
import { type ClientOptions, PerfClient } from "./client.js";
import { drive } from "./drive.js";
import { FullLog } from "./full-log.js";
import { openTransport, SIM_SERVER_4 } from "./open-transport.js";
import { htmlPlot, svgPlot, terminalPlot } from "./plot.js";
import { clientObject, clientText, serverObject, serverText, type TestHeader } from "./report.js";
import {
  Lengths,
  PlaybackSchedule,
  parsePlayback,
  type Schedule,
  SteadySchedule,
} from "./schedule.js";
import { PerfServer } from "./server.js";
import type { Endpoint, SocketOptions, Transport } from "./transport.js";

export type TestName = "ping-pong" | "under-load" | "throughput" | "playback";

/** The options as commander names them; a test has those that make sense for it. */
export interface PerfOptions {
  readonly nic: string;
  readonly address: readonly string[];
  readonly gateway: readonly string[];
  readonly mtu?: number;
  readonly ip?: string;
  readonly port: number;
  readonly tcp?: boolean;
  readonly block?: boolean;
  readonly bufferSize?: number;
  readonly mcIf?: string;
  readonly mcTtl: number;
  readonly mcLoopbackEnable?: boolean;
  readonly dontReply?: boolean;
  readonly forceUnicastReply?: boolean;
  readonly dataFile?: string;
  readonly msgSize?: number;
  readonly range?: number;
  readonly time?: number;
  readonly mps?: number;
  readonly count?: number;
  readonly burst?: number;
  readonly warmup?: number;
  readonly clientPort?: number;
  readonly delay?: boolean;
  readonly replyEvery?: number;
  readonly replyTimeout?: number;
  readonly fullRtt?: boolean;
  readonly csv?: string;
  readonly plot?: boolean;
  readonly plotFile?: string;
  readonly json?: boolean;
}

const CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_COLUMNS = 80;
const SAY_WAITING_MS = 500;

/** A client's test; the exit status. */
export function runClient(test: TestName, o: PerfOptions, world: World): Promise<number> {
  return guarded(test, world, async (closeLater) => {
    const isTcp = o.tcp === true;
    const sockets = socketOptions(o, test, o.nic === "sim" ? SIM_SERVER_4 : undefined);
    const schedule = scheduleOf(test, o);
    const isFullRtt = o.fullRtt === true;
    if (o.plotFile !== undefined && !/\.(svg|html)$/.test(o.plotFile)) {
      throw new TypeError(
        `--plot-file: expected a name that ends in .svg or .html, got ${o.plotFile}`,
      );
    }
    if (sockets.address.isMulticast && isTcp) {
      throw new TypeError(`${sockets.address} is a multicast group: groups have UDP only`);
    }
    // Before the measurement, not behind it.
    for (const file of [o.csv, o.plotFile]) if (file !== undefined) closeSync(openSync(file, "a"));
    const { transport, far } = openTransport(nicOptions(o));
    closeLater(transport);
    await linkUp(transport, o.nic, world);
    const both = far === null ? transport : await withServer(transport, far, sockets, isTcp);
    const endpoint = await connect(both, sockets, isTcp, world.stop);
    const log = o.csv === undefined ? null : new FullLog();
    const client = new PerfClient(both, endpoint, {
      isTcp,
      schedule,
      ...repliesOf(test, o),
      warmUpMs: (o.warmup ?? 0) * 1e3,
      timeMs: test === "playback" ? Number.POSITIVE_INFINITY : o.time! * 1e3,
      mostMessages: o.count ?? Number.POSITIVE_INFINITY,
      replyTimeoutMs: (o.replyTimeout ?? 1) * 1e3,
      log,
      isMulticast: sockets.address.isMulticast,
    });
    const progress = new Progress(world, client, test === "playback" ? null : o.time!);
    await drive(client, both, {
      stop: world.stop,
      blocks: o.block === true && far === null,
      onSecond: () => progress.show(),
    });
    progress.clear();
    endpoint.close();
    both.turn(); // the end of the connection leaves with it
    const { result } = client;
    const header: TestHeader = {
      ...headerOf(test, o, transport, sockets),
      isFullRtt,
      isCutShort: world.stop.aborted,
    };
    const report =
      o.json === true
        ? `${JSON.stringify(clientObject(header, result))}\n`
        : clientText(header, result);
    await world.out.write(report);
    if (o.plot === true && o.json !== true) {
      const columns = process.stdout.columns ?? DEFAULT_COLUMNS;
      await world.out.write(terminalPlot(result.latency, isFullRtt, columns));
    }
    const title = `${test} to ${sockets.address}, ${isTcp ? "TCP" : "UDP"}, ${transport.name}`;
    if (o.plotFile !== undefined) {
      const draw = o.plotFile.endsWith(".svg") ? svgPlot : htmlPlot;
      const plot = draw(result.latency, isFullRtt, title);
      await naming(o.plotFile, async (file) => writeFileSync(file, plot));
    }
    if (log !== null) await naming(o.csv!, (file) => writeLog(file, log, isFullRtt));
    if (result.repliesWanted > 0 && result.received === 0) {
      throw new NothingCame(
        `no reply came from ${sockets.address} port ${sockets.port}: is a server running there (millrace perf server, or sockperf server)? is the address right? does a firewall drop it?`,
      );
    }
    return DONE;
  });
}

/** A server until Ctrl-C; the exit status. */
export function runServer(o: PerfOptions, world: World): Promise<number> {
  return guarded("server", world, async (closeLater) => {
    if (o.nic === "sim")
      throw new TypeError("--nic sim has its server inside: run a client with it");
    const sockets = socketOptions(o, "server", `${ANY4}`);
    const { transport } = openTransport(nicOptions(o));
    closeLater(transport);
    const isTcp = o.tcp === true;
    const from = isTcp ? await transport.tcpServer(sockets) : await transport.udpServer(sockets);
    const server = new PerfServer(transport, from, { isSilent: o.dontReply === true });
    const header = headerOf("server", o, transport, sockets);
    const where = `${header.address} port ${header.port}, ${header.protocol.toUpperCase()}, ${header.nic}`;
    await world.err.write(`listening on ${where}; Ctrl-C ends\n`);
    const endMs =
      o.time === undefined ? Number.POSITIVE_INFINITY : performance.now() + o.time * 1e3;
    const progress = new Progress(world, server, null);
    await drive(server, transport, {
      stop: world.stop,
      blocks: o.block === true,
      onSecond: () => progress.show(),
      isOver: () => world.stop.aborted || performance.now() >= endMs,
    });
    progress.clear();
    const report =
      o.json === true
        ? `${JSON.stringify(serverObject(header, server.result))}\n`
        : serverText(header, server.result);
    await world.out.write(report);
    return DONE;
  });
}

/** Errors of the write itself do not name the file. */
async function naming(file: string, write: (file: string) => Promise<void>): Promise<void> {
  try {
    await write(file);
  } catch (error) {
    if (isSystemError(error)) error.path ??= file;
    throw error;
  }
}

/** A test that could be made and found nothing. */
class NothingCame extends Error {}

/** Runs it; says what went wrong and what to do, and closes what was opened. */
async function guarded(
  name: string,
  world: World,
  work: (closeLater: (t: Transport) => void) => Promise<number>,
): Promise<number> {
  let transport: Transport | null = null;
  try {
    return await work((opened) => {
      transport = opened;
    });
  } catch (error) {
    const say = (text: string) => world.err.write(`millrace perf ${name}: ${text}\n`);
    if (error instanceof TypeError) {
      await say(`${error.message}\n(see millrace perf ${name} --help)`);
      return USAGE;
    }
    const isExpected = error instanceof NetError || error instanceof NothingCame;
    if (!isExpected && !isSystemError(error)) throw error;
    await say(isExpected ? (error as Error).message : systemText(error as NodeJS.ErrnoException));
    return FAILED;
  } finally {
    (transport as Transport | null)?.close();
  }
}

const nicOptions = (o: PerfOptions) => ({
  nic: o.nic,
  addresses: o.address,
  gateways: o.gateway,
  mtuBytes: o.mtu ?? null,
});

/** `address`: where the server is, if the user says nothing. */
function socketOptions(o: PerfOptions, test: TestName | "server", address?: string): SocketOptions {
  const text = o.ip ?? address;
  if (text === undefined) throw new TypeError("expected the server's address: -i ADDRESS");
  const parsed = IpAddress.tryParse(text);
  if (parsed === null) throw new TypeError(`-i: expected an IPv4 or IPv6 address, got ${text}`);
  const isBulk = test === "throughput";
  return {
    address: parsed,
    port: o.port,
    multicast: {
      ifIndex: o.mcIf === undefined ? 0 : interfaceIndex(o.mcIf, o.nic),
      ttl: o.mcTtl,
      loop: o.mcLoopbackEnable === true,
    },
    bufferBytes: o.bufferSize ?? 0,
    // As sockperf: small messages are gathered where throughput is the question.
    noDelay: !isBulk || o.delay === false,
    localPort: o.clientPort ?? 0,
    replyToSender: o.forceUnicastReply === true,
  };
}

/** The number of an interface; a stack's own NIC is its first after the loopback. */
function interfaceIndex(text: string, nic: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  if (nic !== "kernel" && nic !== "node") return 0;
  try {
    return Number(readFileSync(`/sys/class/net/${text}/ifindex`, "utf8"));
  } catch {
    const names = Object.keys(networkInterfaces()).join(", ");
    throw new TypeError(`--mc-if: there is no interface ${text}; there are: ${names}`);
  }
}

function scheduleOf(test: TestName, o: PerfOptions): Schedule {
  if (test !== "playback") {
    return new SteadySchedule(o.mps!, o.burst!, new Lengths(o.msgSize!, o.range ?? 0));
  }
  const text = readFileSync(o.dataFile!, "utf8");
  try {
    return new PlaybackSchedule(parsePlayback(text));
  } catch (error) {
    throw new TypeError(`${o.dataFile}: ${(error as Error).message}`);
  }
}

function repliesOf(
  test: TestName,
  o: PerfOptions,
): Pick<ClientOptions, "replyEvery" | "waitForReplies"> {
  if (test === "ping-pong") return { replyEvery: 1, waitForReplies: o.burst! };
  return { replyEvery: test === "throughput" ? 0 : o.replyEvery!, waitForReplies: 0 };
}

function headerOf(
  test: string,
  o: PerfOptions,
  transport: Transport,
  sockets: SocketOptions,
): TestHeader {
  return {
    test,
    protocol: o.tcp === true ? "tcp" : "udp",
    nic: transport.name,
    address: `${sockets.address}`,
    port: sockets.port,
    messageBytes: o.msgSize ?? 0,
    isFullRtt: false,
    isCutShort: false,
  };
}

/** Waits for the link of a device that needs its peer; says so, because it may be for long. */
async function linkUp(transport: Transport, nic: string, world: World): Promise<void> {
  let hasSaid = false;
  const sayMs = performance.now() + SAY_WAITING_MS;
  while (!transport.isReady && !world.stop.aborted) {
    transport.turn();
    if (!hasSaid && performance.now() > sayMs) {
      hasSaid = true;
      await world.err.write(`waiting for the other end of ${nic}; Ctrl-C ends\n`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Connects; for a stack that takes turns, for the kernel a look now and then. */
async function connect(
  transport: Transport,
  o: SocketOptions,
  isTcp: boolean,
  stop: AbortSignal,
): Promise<Endpoint> {
  const endpoint = isTcp ? await transport.tcpClient(o) : await transport.udpClient(o);
  const where = { address: `${o.address}`, port: o.port };
  const untilMs = performance.now() + CONNECT_TIMEOUT_MS;
  for (;;) {
    transport.turn();
    const result = endpoint.connectResult();
    if (result > 0) return endpoint;
    const hint = "is a server running there (millrace perf server --tcp)? is the address right?";
    if (result < 0) throw new NetError(result, { syscall: "connect", ...where, hint });
    if (performance.now() >= untilMs || stop.aborted) {
      throw new NetError(stop.aborted ? 125 : 110, { syscall: "connect", ...where, hint });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** `sim`: the far stack's server has its turn with the client's. */
async function withServer(
  near: Transport,
  far: Transport,
  o: SocketOptions,
  isTcp: boolean,
): Promise<Transport> {
  const options = { ...o, address: o.address };
  const from = isTcp ? await far.tcpServer(options) : await far.udpServer(options);
  const server = new PerfServer(far, from, { isSilent: false });
  return {
    name: near.name,
    isReady: true,
    turn: () => {
      near.turn();
      server.step();
      far.turn();
      near.turn();
    },
    wait: () => {},
    udpServer: (s) => near.udpServer(s),
    udpClient: (s) => near.udpClient(s),
    tcpServer: (s) => near.tcpServer(s),
    tcpClient: (s) => near.tcpClient(s),
    close: () => near.close(),
  };
}

async function writeLog(file: string, log: FullLog, isFullRtt: boolean): Promise<void> {
  const handle = await open(file, "w");
  try {
    let text = "";
    for (const line of log.lines(isFullRtt)) {
      text += line;
      if (text.length < 1 << 20) continue;
      await handle.write(text);
      text = "";
    }
    await handle.write(text);
  } finally {
    await handle.close();
  }
}

/** A line on the terminal that says how far it is; nothing where nobody looks. */
class Progress {
  private readonly world: World;
  private readonly work: { readonly sent?: number; readonly received: number };
  private readonly totalS: number | null;
  private seconds = 0;

  constructor(world: World, work: Progress["work"], totalS: number | null) {
    this.world = world;
    this.work = work;
    this.totalS = totalS;
  }

  show(): void {
    this.seconds++;
    if (!this.world.err.isTerminal) return;
    const of = this.totalS === null ? "" : ` of ${this.totalS}`;
    const { sent, received } = this.work;
    const counts = `${sent === undefined ? "" : `${sent.toLocaleString("en-US")} sent, `}${received.toLocaleString("en-US")} received`;
    void this.world.err.write(`\r\x1b[K${this.seconds}${of} s: ${counts}`);
  }

  clear(): void {
    if (this.world.err.isTerminal && this.seconds > 0) void this.world.err.write("\r\x1b[K");
  }
}
