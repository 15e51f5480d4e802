/** Options, ends and their order, what a socket says of itself: many small scripts. */
import { once } from "node:events";
import net from "node:net";
import { listening } from "../support/sockets.js";
import { errorText, trace } from "../support/trace.js";

type Script = (
  client: net.Socket,
  server: net.Socket,
  say: (...what: unknown[]) => void,
) => unknown;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** The event loop has looked for news often enough, however slow the machine is. */
async function settled(): Promise<void> {
  for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve));
}
const closed = (socket: net.Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });

const scripts: Record<string, Script> = {
  async options(client, server, say) {
    for (const socket of [client, server]) {
      say(socket.setNoDelay() === socket, socket.setNoDelay(false) === socket);
      say(socket.setKeepAlive(true, 5_000) === socket, socket.setKeepAlive(false) === socket);
      say(socket.setTimeout(1_000) === socket, socket.timeout, socket.setTimeout(0) === socket);
    }
    client.end();
    server.end();
  },
  async states(client, server, say) {
    say(client.readyState, client.pending, client.connecting, client.destroyed);
    client.end();
    say(client.readyState, client.writableEnded, client.writableFinished);
    await once(server.resume(), "end");
    say(server.readyState, server.readableEnded);
    client.resume();
    await closed(client);
    say(client.readyState, client.pending, client.localPort, client.remoteAddress);
    say(client.address());
  },
  async writeAfterEnd(client, server, say) {
    client.on("error", (e) => say("error", errorText(e)));
    client.end("last", () => say("ended"));
    const goesOn = client.write("too late", (e) => say("write", e == null ? e : errorText(e)));
    say(goesOn);
    server.resume().end();
  },
  async writeAfterDestroy(client, server, say) {
    client.destroy();
    say(client.write("too late", (e) => say("write", e == null ? e : errorText(e))));
    await closed(client);
    say(client.write("later", (e) => say("write", e == null ? e : errorText(e))));
    server.resume().end();
  },
  async destroyWithError(client, server, say) {
    client.on("error", (e) => say("error", e.message));
    client.write("before", () => say("written"));
    client.destroy(new Error("own"));
    say(client.destroyed, client.errored?.message);
    server.resume();
    await closed(server);
    say(server.bytesRead);
  },
  async destroySoon(client, server, say) {
    client.write("a");
    client.write("b");
    client.destroySoon();
    say(client.destroyed, client.writable);
    let text = "";
    for await (const d of server) text += String(d);
    say(text, client.destroyed);
  },
  async resetByPeer(client, server, say) {
    client.on("error", (e) => say("error", errorText(e)));
    client.on("close", (hadError) => say("close", hadError));
    server.resetAndDestroy();
    await closed(client);
    say(client.bytesRead, client.errored?.message);
  },
  async writeToReset(client, server, say) {
    client.on("error", (e) => say("error", errorText(e)));
    client.pause();
    server.resetAndDestroy();
    await closed(server);
    await closed(client);
    client.write("to nobody", (e) => say("write", e == null ? e : errorText(e)));
    await closed(client);
  },
  async peerGoesUnread(client, server, say) {
    // Bytes that nobody has read when the socket is closed: the peer gets a reset.
    server.on("error", (e) => say("server", errorText(e)));
    server.write("unread");
    await once(client.pause(), "readable").catch(() => {});
    client.destroy();
    await closed(server.resume());
  },
  async callbacksInOrder(client, server, say) {
    for (let i = 0; i < 3; i++) client.write(`${i}`, () => say("written", i));
    client.once("finish", () => say("finish")).once("end", () => say("end"));
    client.end("3", () => say("end callback"));
    setImmediate(() => say("immediate after"));
    process.nextTick(() => say("tick after"));
    server.resume().once("end", () => server.end());
    client.resume();
  },
  async allKindsOfChunks(client, server, say) {
    server.setEncoding("latin1");
    let text = "";
    server.on("data", (d) => {
      text += d;
    });
    client.cork();
    client.write("utf8 é");
    client.write("e9", "hex");
    client.write("latin é", "latin1");
    client.write("16", "utf16le");
    client.write(new Uint8Array([65, 66]));
    client.write(Buffer.alloc(0));
    client.uncork();
    client.end("");
    await once(server, "end");
    say(text, client.bytesWritten, server.bytesRead);
    server.end();
  },
  async bytesWhileQueued(client, server, say) {
    server.pause();
    client.write(Buffer.alloc(8_000_000));
    client.write("é");
    say(client.bytesWritten, client.writableLength > 0);
    client.end();
    server.resume();
    await closed(client.resume());
    say(client.bytesWritten, server.bytesRead);
  },
  async endWhilePaused(client, server, say) {
    client.pause();
    server.end("data and end");
    while (client.bytesRead === 0) await wait(10);
    say(client.readableLength, client.readableEnded, client.bytesRead);
    client.once("end", () => say("end"));
    client.on("data", (d) => say(String(d)));
    await closed(client.resume());
  },
  async timeouts(client, server, say) {
    client.setTimeout(40, () => say("once"));
    client.on("timeout", () => say("timeout"));
    await once(client, "timeout");
    say(client.destroyed, client.readyState);
    client.setTimeout(0);
    client.end();
    server.end();
  },
  async readInPieces(client, server, say) {
    server.end("0123456789");
    const parts: string[] = [];
    client.on("readable", () => {
      for (let part = client.read(4); part !== null; part = client.read(4))
        parts.push(String(part));
    });
    await closed(client);
    say(parts.join());
  },
  async unshifted(client, server, say) {
    server.end("head body");
    client.once("data", (d: Buffer) => {
      client.unshift(d.subarray(5));
      client.on("data", (rest) => say(String(rest)));
    });
    await closed(client);
  },
};

for (const allowHalfOpen of [false, true]) {
  for (const [name, script] of Object.entries(scripts)) {
    const party = `${name}${allowHalfOpen ? " half open" : ""}`;
    const server = net.createServer({ allowHalfOpen });
    const port = await listening(server);
    const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen });
    const [[accepted]] = (await Promise.all([
      once(server, "connection"),
      once(client, "connect"),
    ])) as unknown as [[net.Socket], unknown];
    for (const socket of [client, accepted])
      if (socket.listenerCount("error") === 0) socket.on("error", () => {});
    const say = (...what: unknown[]): void => trace(party, ...what.map((w) => w ?? String(w)));
    if (allowHalfOpen) for (const s of [client, accepted]) s.once("end", () => s.end());
    await script(client, accepted, say);
    await settled();
    client.destroy();
    accepted.destroy();
    await Promise.all([closed(client), closed(accepted)]);
    server.close();
    await once(server, "close");
  }
}
