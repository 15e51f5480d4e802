/**
 * The engine, from a program that scribbles over all the memory it shares, submits nonsense and
 * sends nonsense on its control socket. The input is a program read in steps of 4 bytes.
 *
 * Whatever it does, two other programs go on talking through the same engine, and nothing of it is left
 * in the engine once it has gone.
 */
import { EngineRig } from "../../src/engine/engine-fixture.js";
import type { TestClient } from "../../src/engine/test-client-fixture.js";
import { connectMessage } from "../../src/engine/test-parked-fixture.js";
import type { TestSocket } from "../../src/engine/test-socket-fixture.js";
import { bindUdp, connectTcp, listenTcp } from "../../src/engine/test-sockets-fixture.js";
import { CALLS, Kind, Op, OpenedFor, SESSION_BYTES, Submit } from "../../src/ring/engine-layout.js";
import { Family } from "../../src/socket/linux-options.js";
import { sendWithFds } from "../../src/sys/unix-socket.js";
import { mustEqual, type Target } from "../target.js";

interface World {
  readonly rig: EngineRig;
  readonly one: TestSocket;
  readonly two: TestSocket;
  /** Shared memory of the two. */
  readonly usedBytes: number;
}

/** So much time passes at each turn after the program has gone. */
const STEP_US = 200_000;

let world: World | null = null;

/** One engine for all inputs, with two programs that behave. */
function theWorld(): World {
  if (world !== null) return world;
  const rig = new EngineRig();
  const [one, two] = [bindUdp(rig.client(), 1_000), bindUdp(rig.client(), 2_000)];
  world = { rig, one, two, usedBytes: rig.engine.memory.usedBytes };
  return world;
}

export const target: Target = {
  name: "engine",
  summary: "the engine's shared memory, submissions, calls and messages from a hostile program",
  maxBytes: 600,
  run(input) {
    const { rig, one, two, usedBytes } = theWorld();
    const hostile = new Hostile(rig, input);
    let shape: string;
    try {
      shape = hostile.run();
    } finally {
      hostile.close();
    }
    rig.until(() => {
      rig.aheadUs += STEP_US; // connections that it took and did not claim are waited for
      return rig.engine.sessions.length === 2 && rig.engine.sockets.size === 2;
    }, "its end");
    mustEqual("shared memory", `${rig.engine.memory.usedBytes}`, `${usedBytes}`);
    one.sendTo(new Uint8Array([7]), "10.77.0.1", 2_000);
    for (;;) {
      const got = rig.datagram(two);
      // The hostile program may have sent something here as well: that is no harm.
      if (got.fromPort !== 1_000) continue;
      mustEqual("another program's datagram", `${got.data[0]}`, "7");
      break;
    }
    while (one.receiveFrom() !== null) {}
    return shape;
  },
};

class Hostile {
  private readonly client: TestClient;
  private readonly sockets: TestSocket[];
  private readonly rig: EngineRig;
  private readonly input: Uint8Array;
  private done = "";
  private isOut = false;

  constructor(rig: EngineRig, input: Uint8Array) {
    this.rig = rig;
    this.input = input;
    this.client = rig.client({ program: "hostile" });
    const { client } = this;
    const listener = listenTcp(client, 9, { backlog: 4 });
    const a = connectTcp(client, 9);
    const u = bindUdp(client, 3_000);
    const v = client.open({ kind: Kind.UDP, at: OpenedFor.SEND, peer: "10.77.0.1", peerPort: 1 });
    this.sockets = [listener, a, u, v];
  }

  run(): string {
    const { input } = this;
    for (let at = 0; at + 4 <= input.length && !this.isOut; at += 4) {
      this.step(input[at]!, input[at + 1]!, input[at + 2]!, input[at + 3]!);
      this.rig.run();
    }
    return this.done.slice(0, 60);
  }

  private step(op: number, a: number, b: number, c: number): void {
    const { client } = this;
    const socket = this.sockets[a & 3]!;
    const word = odd(c);
    switch (op & 15) {
      case 0: // the session's header, or any word of its tables
        client.session[((a << 16) | (b << 8) | c) % (SESSION_BYTES >> 2)] = word;
        break;
      case 1: // submissions
        client.submit(op & 16 ? Submit.CALL + b : op & 32 ? word >>> 0 : b & 7);
        break;
      case 2: // a word of a header
        socket.words[socket.at(0) + (b & 127)] = word;
        break;
      case 3: // a word of a ring to the engine
        socket.words[((socket.txAt >>> 2) + b) % socket.words.length] = word;
        break;
      case 4: // positions
        socket.words[socket.at(b & 1 ? 196 : 132)] = op & 16 ? word : c;
        socket.submit();
        break;
      case 5:
        socket.submit();
        break;
      case 6: // a call
        client.startCall(b % CALLS, 1 + (b % 17), a & 7, [word, c, b, a], this.data(c));
        break;
      case 7: // options
        client.startCall(b % CALLS, Op.SETSOCKOPT, a & 3, [LEVELS[op >> 5]!, b], this.data(c));
        break;
      case 8:
        client.startCall(b % CALLS, Op.GETSOCKOPT, a & 3, [LEVELS[op >> 5]!, b, c], this.data(c));
        break;
      case 9: // a datagram that makes sense, to whoever
        if (socket.kind === Kind.UDP) socket.sendTo(this.data(b), "10.77.0.1", 1_000 * (c & 3));
        break;
      case 10:
        if (socket.kind === Kind.TCP) socket.send(this.data(b));
        break;
      case 11: // a message
        this.say(b, c);
        break;
      case 12: // waiters and entries
        client.session[1_024 + 16 * b + (c & 3)] = word;
        client.session[client.entryAt(a & 7, c & 12)] = -1;
        break;
      case 13: // ends that are used again
        client.startCall(b % CALLS, Op.PARK + (c % 3), a & 3, [c >> 3, b], this.opening(a & 3, b));
        break;
      default:
        break;
    }
    this.done += String.fromCharCode(97 + (op & 15));
  }

  /** What opens a connection, with a byte of it changed now and then. */
  private opening(local: number, n: number): Uint8Array {
    const message = connectMessage(local, "10.77.0.1", 9, Family.INET);
    if ((n & 1) === 1) message[n % message.length] = this.input[n % this.input.length]!;
    return message;
  }

  /** Bytes of the input, over and over. */
  private data(n: number): Uint8Array {
    const { input } = this;
    return Uint8Array.from({ length: n }, (_, i) => input[(n + i) % input.length] ?? 0);
  }

  private say(type: number, n: number): void {
    const message = this.data(4 * n);
    if (message.length >= 4) message.set([type & 15, 0, 0, 0]);
    const fd = (type & 16) !== 0 ? [this.sockets[0]!.endFd] : [];
    if (sendWithFds(this.client.controlFd, message, fd) < 0) this.isOut = true;
  }

  close(): void {
    for (const socket of this.sockets) socket.close();
    this.client.close();
  }
}

const LEVELS = [0, 1, 6, 17, 41, 0, 1, 255];

/** Words that are near something. */
function odd(c: number): number {
  const near = [0, 1, -1, 0x7fff_ffff, -0x8000_0000, 64, 4_096, 65_536];
  return (near[c & 7]! + (c >> 3) - 16) | 0;
}
