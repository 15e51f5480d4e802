/** Every option of a connection, wrong ones included; names and their answers; processes and descriptors. */
import { openSync } from "node:fs";
import net from "node:net";
import { closed, follow, listening } from "../support/sockets.js";
import { errorText, HERE, trace } from "../support/trace.js";

type Connect = net.TcpNetConnectOpts & Record<string, unknown>;
type Answer = string | readonly { address: unknown; family: unknown }[];
const any = <T>(value: unknown): T => value as T;

const server = net.createServer((socket) =>
  socket
    .on("error", () => {})
    .resume()
    .end("x"),
);
const port = await listening(server, { host: HERE });

/** Connects with these options: what is thrown or told. */
async function attempt(name: string, options: unknown): Promise<void> {
  try {
    const client = follow(name, net.connect(any<Connect>(options)));
    client.on("connectionAttempt", (ip, _port, family) => trace(name, "attempt", ip, family));
    client.on("connectionAttemptFailed", (ip, _p, family, e?: Error) =>
      trace(name, "failed", ip, family, e === undefined ? "" : errorText(e)),
    );
    client.resume();
    await closed(client);
  } catch (e) {
    trace(name, "throws", errorText(e));
  }
}

/** A name with such an answer, given now or later. */
async function named(name: string, answer: Answer, options: object = {}): Promise<void> {
  for (const isLate of [false, true]) {
    const party = `${name}${isLate ? " late" : ""}`;
    const lookup = (host: string, asked: object, done: (...a: unknown[]) => void): void => {
      trace(party, "asked", host, asked);
      const give = (): void => done(null, answer, typeof answer === "string" ? 4 : undefined);
      if (isLate) setImmediate(give);
      else give();
    };
    await attempt(party, { port, host: "example.test", lookup, ...options });
  }
}

const four = { address: HERE, family: 4 };
for (const [name, options] of Object.entries<object>({
  plain: {},
  all: { noDelay: true, keepAlive: true, keepAliveInitialDelay: 1_500, highWaterMark: 1_000 },
  "local port text": { localPort: "x" },
  "local address text": { localAddress: "nowhere" },
  "local address nobody's": { localAddress: "192.0.2.9" },
  "port text": { port: "x" },
  "port 65536": { port: 65_536 },
  "port none": { port: undefined },
  "host number": { host: 7 },
  "family 5": { family: 5 },
  "hints 9999": { host: "localhost", hints: 9_999 },
  "lookup text": { lookup: "x" },
  "timeout text": { timeout: "x" },
  timeout: { timeout: 60_000 },
  "signal text": { signal: "x" },
  aborted: { signal: AbortSignal.abort() },
  "select text": { autoSelectFamily: "x" },
  "select timeout 0": { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 0 },
  "block list text": { blockList: "x" },
  "on read without buffer": { onread: {} },
  "on read text": { onread: "x" },
  "object mode": { objectMode: true },
})) {
  await attempt(name, { port, host: HERE, ...options });
}
await named("string", HERE, { autoSelectFamily: false });
await named("list", [four]);
await named("list, first family", [four], { autoSelectFamily: false });
await named("twice", [{ address: "192.0.2.300", family: 4 }, four]);
await named("no address", [{ address: "nonsense", family: 4 }]);
await named("family 7", [{ address: HERE, family: 7 }]);
await named("number", any<Answer>([{ address: 7, family: 4 }]));
await attempt("fails", {
  port,
  host: "example.test",
  lookup: (_host: string, _asked: object, done: (e: Error) => void) =>
    done(Object.assign(new Error("no such name"), { code: "ENO" })),
});

/** The attempt that does not end in time is given up for the next. */
async function slow(): Promise<void> {
  const lookup = any<net.LookupFunction>(
    (_h: string, _o: object, done: (e: null, all: object[]) => void) =>
      done(null, [
        { address: "127.0.0.1", family: 4 },
        { address: "::1", family: 6 },
      ]),
  );
  const list = new net.BlockList();
  list.addSubnet("127.0.0.0", 8);
  await attempt("blocked first", {
    port,
    host: "example.test",
    lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 5_000,
    blockList: list,
  });
}
await slow();

/** Sockets of descriptors, and of none. */
for (const [name, options] of Object.entries<object>({
  "fd text": { fd: "x" },
  "fd -1": { fd: -1 },
  "fd of a file": { fd: openSync("/dev/null", "r") },
  "fd 999": { fd: 999 },
  "signal of a socket": { signal: 7 },
  nothing: {},
})) {
  try {
    const socket = new net.Socket(any<net.SocketConstructorOpts>(options));
    trace(name, socket.readyState, socket.pending, socket.address(), socket.bytesRead);
    trace(name, socket.setNoDelay() === socket, socket.setKeepAlive(true) === socket);
    trace(
      name,
      socket.ref() === socket,
      socket.unref() === socket,
      socket.setTimeout(0) === socket,
    );
    for (const call of ["resetAndDestroy", "destroySoon", "destroy"] as const) {
      socket.on("error", (e) => trace(name, call, errorText(e)));
      trace(name, call, any<{ [k: string]: () => unknown }>(socket)[call]!() === socket);
    }
    await closed(socket);
    trace(name, socket.destroyed);
  } catch (e) {
    trace(name, "throws", errorText(e));
  }
}

process.exit(); // sockets whose options were refused after they had a handle are left over
