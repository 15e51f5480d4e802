/**
 * Answers `millrace stat` (stat-message.ts) through Node's event loop, which the engine lets run when
 * somebody asks.
 */
import { chmodSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { removeStaleSocket } from "../sys/unix-socket.js";
import type { Engine } from "./engine.js";
import { statLines } from "./stat-lines.js";
import type { StatRequest } from "./stat-message.js";

/** A request is a line; longer ones are none. */
const MAX_REQUEST_BYTES = 4_096;

export class StatServer {
  private readonly engine: Engine;
  private readonly version: string;
  private readonly server: Server;
  private readonly visitors = new Set<Socket>();

  constructor(engine: Engine, version: string) {
    this.engine = engine;
    this.version = version;
    this.server = createServer((socket) => this.welcome(socket));
  }

  /** Listens. Rejects with the system's error. */
  async start(): Promise<void> {
    const { stat } = this.engine.paths;
    removeStaleSocket(stat); // of an engine that died
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(stat, resolve);
    });
    chmodSync(stat, 0o600); // whatever the umask: it says what programs do
  }

  /** Whether somebody is being served: the event loop must run. */
  get hasVisitors(): boolean {
    return this.visitors.size > 0;
  }

  private welcome(socket: Socket): void {
    this.visitors.add(socket);
    socket.on("close", () => this.visitors.delete(socket));
    socket.on("error", () => socket.destroy());
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      text += part;
      const end = text.indexOf("\n");
      if (end >= 0) this.answer(socket, text.slice(0, end));
      else if (text.length > MAX_REQUEST_BYTES) socket.destroy();
    });
  }

  private answer(socket: Socket, line: string): void {
    const request = requestOf(line);
    if (request === null) {
      socket.destroy();
      return;
    }
    socket.removeAllListeners("data");
    const lines: string[] = [];
    for (const answer of statLines(this.engine, this.version, request)) {
      lines.push(JSON.stringify(answer));
    }
    socket.end(`${lines.join("\n")}\n`);
  }

  close(): void {
    for (const socket of this.visitors) socket.destroy();
    this.server.close(); // removes the file
  }
}

function requestOf(line: string): StatRequest | null {
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === "object" && parsed !== null ? parsed : null;
  } catch {
    return null;
  }
}
