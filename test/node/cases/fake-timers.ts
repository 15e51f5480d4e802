/** Tests of programs stop the clock: they replace the global timers before the first socket, and data still arrive. */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { mock } from "node:test";
import { closed, ended, follow, listening } from "../support/sockets.js";
import { trace } from "../support/trace.js";

/** As `@sinonjs/fake-timers` does: whatever is asked for is put off until somebody lets time pass. */
function stopClock(): { pass(): void; restore(): void } {
  const later: (() => void)[] = [];
  const putOff = (f: () => void): number => later.push(f);
  const globals = globalThis as unknown as Record<string, unknown>;
  const before = new Map<string, unknown>();
  for (const name of ["setTimeout", "setInterval", "setImmediate"]) {
    before.set(name, globals[name]);
    globals[name] = putOff;
  }
  for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) {
    before.set(name, globals[name]);
    globals[name] = (): void => {};
  }
  const { now } = performance;
  const { now: date } = Date;
  const { hrtime } = process;
  performance.now = () => 0;
  Date.now = () => 0;
  process.hrtime = Object.assign(() => [0, 0] as [number, number], { bigint: () => 0n });
  return {
    pass: () => {
      for (const f of later.splice(0)) f();
    },
    restore: () => {
      for (const [name, value] of before) globals[name] = value;
      performance.now = now;
      Date.now = date;
      process.hrtime = hrtime;
    },
  };
}

async function exchange(name: string): Promise<void> {
  const server = net.createServer((socket) => {
    follow(`${name} server`, socket);
    socket.resume().once("data", () => {
      socket.setTimeout(20, () => socket.setTimeout(0).end("after its own time"));
    });
  });
  const port = await listening(server);
  const client = follow(`${name} client`, net.connect(port, "127.0.0.1"));
  client.write(Buffer.alloc(1_000_000), () => trace(`${name} written`, "all"));
  client.on("data", (d) => trace(`${name} client`, "data", String(d)));
  await closed(client);
  await ended(server);
  const socket = dgram.createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  socket.send("datagram", socket.address().port, "127.0.0.1");
  trace(name, String((await once(socket, "message"))[0]));
  socket.close();
  await once(socket, "close");
}

const clock = stopClock();
setTimeout(() => trace("stopped", "the program's timer"), 10);
await exchange("stopped");
clock.pass();
await exchange("stopped, passed");
clock.restore();

process.removeAllListeners("warning"); // experimental in Node 20
mock.timers.enable({ apis: ["setTimeout", "setInterval", "setImmediate", "Date"] });
setTimeout(() => trace("mocked", "the program's timer", Date.now()), 10);
await exchange("mocked");
mock.timers.tick(10);
mock.timers.reset();
