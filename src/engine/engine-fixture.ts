/** An engine on the host-local network in a folder of its own, driven by hand: for tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPool } from "../socket/create-host.js";
import { nowUs } from "./clock.js";
import { DEFAULT_CONFIG } from "./config.js";
import { rulesOf } from "./decision.js";
import { Engine, type EngineOptions } from "./engine.js";
import { DEFAULT_RINGS } from "./opening.js";
import { pathsBeside } from "./socket-path.js";
import { type ClientOptions, TestClient } from "./test-client-fixture.js";
import type { ClientDatagram, TestSocket } from "./test-socket-fixture.js";

export class EngineRig {
  readonly engine: Engine;
  private readonly folder: string;
  private readonly clients: TestClient[] = [];
  /** How far the engine's clock is ahead of the machine's: tests move it on. */
  aheadUs = 0;
  readonly run = (): void => {
    const now = nowUs() + this.aheadUs;
    this.engine.turn(now);
    this.engine.control.service(now);
  };

  constructor(options: Partial<EngineOptions> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "millrace-engine-"));
    this.engine = new Engine({
      pool: createPool({ smallSlots: 8_192, bigSlots: 256, peerBytes: 1 << 29 }),
      nowUs: nowUs(),
      nics: [],
      network: DEFAULT_CONFIG.network,
      paths: pathsBeside(join(this.folder, "engine.sock")),
      profile: "balanced",
      spinUs: null,
      rules: rulesOf(null),
      loopback: false,
      rings: DEFAULT_RINGS,
      watchLoop: false,
      ...options,
    });
  }

  client(options: Partial<ClientOptions> = {}): TestClient {
    const client = new TestClient(this.engine.paths.control, { run: this.run, ...options });
    this.clients.push(client);
    return client;
  }

  /** Runs the engine until `isSo`; throws when it does not come to be. */
  until(isSo: () => boolean, what = "what was expected"): void {
    const endUs = nowUs() + 20_000_000;
    while (!isSo()) {
      this.run();
      if (nowUs() > endUs) throw new Error(`${what} has not come to be`);
    }
  }

  /** What comes in on a stream until `n` bytes are there. */
  read(socket: TestSocket, n: number): Uint8Array {
    const data = new Uint8Array(n);
    let got = 0;
    this.until(() => {
      const part = socket.receive(n - got);
      data.set(part, got);
      got += part.length;
      return got === n;
    }, `${n} bytes`);
    return data;
  }

  /** The next datagram. */
  datagram(socket: TestSocket): ClientDatagram {
    let got: ClientDatagram | null = null;
    this.until(() => {
      got = socket.receiveFrom();
      return got !== null;
    }, "the datagram");
    return got!;
  }

  close(): void {
    for (const client of this.clients) client.close();
    this.engine.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs a test with an engine. */
export function withEngine(
  test: (rig: EngineRig) => void,
  options: Partial<EngineOptions> = {},
): void {
  const rig = new EngineRig(options);
  try {
    test(rig);
  } finally {
    rig.close();
  }
}
