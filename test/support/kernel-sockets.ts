/**
 * Sockets of the kernel, driven by lines on standard input, each answered by one line that begins
 * with the same number: a program at the far end of a link, or beside a Millrace host. See
 * `kernel-program.ts` for who writes the lines.
 *
 *     1 serve tcp 22          → 1 ok, or 1 EADDRINUSE       echoes what comes; also udp, tcp6
 *     2 connect 10.0.0.1 80   → 2 ok, or 2 ECONNREFUSED
 *     3 say hello             → 3 hello, or 3 ECONNRESET     to the connection, and what came back
 *     4 ask 10.0.0.1 80 hello → 4 hello, or 4 ECONNREFUSED   the same with one datagram
 */
import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";

let connection: Socket | null = null;

const familyOf = (address: string): "udp4" | "udp6" => (address.includes(":") ? "udp6" : "udp4");

function serve(protocol: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.message);
    if (protocol.startsWith("tcp")) {
      const server = createServer((socket) => {
        socket.on("error", () => {});
        socket.pipe(socket);
      });
      server
        .on("error", fail)
        .listen(port, protocol === "tcp6" ? "::" : "0.0.0.0", () => resolve("ok"));
      return;
    }
    const socket = createSocket("udp4").on("error", fail);
    socket.on("message", (bytes, from) => socket.send(bytes, from.port, from.address));
    socket.bind(port, () => resolve("ok"));
  });
}

function open(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("connect", () => {
      connection = socket;
      resolve("ok");
    });
  });
}

function say(text: string): Promise<string> {
  const socket = connection!;
  return new Promise((resolve) => {
    let got = "";
    const done = (result: string): void => {
      socket.off("data", take).off("error", fail).off("end", end);
      resolve(result);
    };
    const take = (bytes: Buffer): void => {
      got += bytes.toString();
      if (got.length >= text.length) done(got);
    };
    const fail = (error: NodeJS.ErrnoException): void => done(error.code ?? error.message);
    const end = (): void => done("END");
    socket.on("data", take).on("error", fail).on("end", end);
    socket.write(text);
  });
}

function ask(host: string, port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(familyOf(host));
    const done = (result: string): void => {
      socket.close();
      resolve(result);
    };
    socket.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    socket.on("message", (bytes) => done(bytes.toString()));
    socket.connect(port, host, () => socket.send(text));
  });
}

/** Sends one datagram and waits for nothing. */
function send(host: string, port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(familyOf(host));
    socket.send(text, port, host, (error) => {
      socket.close();
      resolve(error === null ? "ok" : error.message);
    });
  });
}

const CALLS: Record<string, (args: string[]) => Promise<string>> = {
  serve: ([protocol, port]) => serve(protocol!, Number(port)),
  connect: ([host, port]) => open(host!, Number(port)),
  say: ([text]) => say(text!),
  ask: ([host, port, text]) => ask(host!, Number(port), text!),
  send: ([host, port, text]) => send(host!, Number(port), text!),
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [number, call, ...args] = line.split(" ");
    void CALLS[call!]!(args).then((result) => console.log(`${number} ${result}`));
  })
  .on("close", () => process.exit(0));
console.log("0 ready");
