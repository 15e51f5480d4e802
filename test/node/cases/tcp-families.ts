/** Families, lookups, several addresses of one name. */
import { once } from "node:events";
import net from "node:net";
import { closed, ended, follow, listening } from "../support/sockets.js";
import { errorText, trace } from "../support/trace.js";

const answer = (socket: net.Socket): void => {
  trace("server", socket.remoteAddress ?? "", socket.remoteFamily ?? "", socket.localAddress ?? "");
  socket.end("x");
};

async function family(host: string, to: string): Promise<void> {
  const server = net.createServer(answer);
  const port = await listening(server, { host });
  const address = server.address() as net.AddressInfo;
  trace(`${host} ${to}`, address.address, address.family);
  const client = follow(`${host} ${to}`, net.connect(port, to));
  client.resume();
  client.on("connect", () => {
    trace(`${host} ${to}`, client.remoteAddress ?? "", client.remoteFamily ?? "");
    const own = client.address() as net.AddressInfo;
    trace(`${host} ${to}`, own.address, own.family, own.port === client.localPort);
  });
  await closed(client);
  await ended(server);
}

async function wildcard(): Promise<void> {
  const server = net.createServer(answer);
  server.listen(0);
  await once(server, "listening");
  const { port, address } = server.address() as net.AddressInfo;
  trace("wildcard", address);
  for (const to of ["127.0.0.1", "::1", "localhost"]) {
    const client = net.connect(port, to);
    client.resume();
    await closed(client);
  }
  await ended(server);
}

/** Names with two addresses: the first refuses. */
async function several(): Promise<void> {
  const server = net.createServer(answer);
  const port = await listening(server);
  const lookup: net.LookupFunction = (_host, _options, done) => {
    done(null, [
      { address: "::1", family: 6 },
      { address: "127.0.0.1", family: 4 },
    ]);
  };
  const client = net.connect({ port, host: "example.test", lookup, autoSelectFamily: true });
  follow("several", client);
  client.resume();
  client.on("connectionAttempt", (ip, _port, of) => trace("several", "attempt", ip, of));
  client.on("connectionAttemptFailed", (ip, _port, of, e?: Error) => {
    trace("several", "failed", ip, of, e === undefined ? "" : errorText(e));
  });
  await closed(client);
  trace(
    "several",
    (client.autoSelectFamilyAttemptedAddresses ?? []).map((a) => a.replace(/:\d+$/, "")),
  );
  await ended(server);
  const none = net.connect({ port, host: "example.test", lookup, autoSelectFamily: true });
  none.on("error", (e) => {
    const all = (e as AggregateError).errors as Error[];
    trace("none", e.name, (e as NodeJS.ErrnoException).code ?? "", all.map(errorText));
  });
  await closed(none);
}

async function blocked(): Promise<void> {
  const list = new net.BlockList();
  list.addAddress("127.0.0.1");
  trace("blocked", list.check("127.0.0.1"), list.check("127.0.0.2"));
  const server = net.createServer(answer);
  const port = await listening(server);
  const client = follow(
    "blocked",
    net.connect({ port, host: "127.0.0.1", blockList: list } as net.TcpNetConnectOpts),
  );
  client.resume();
  await closed(client);
  await ended(server);
}

async function localPort(): Promise<void> {
  const server = net.createServer(answer);
  const port = await listening(server);
  const spare = net.createServer();
  const free = await listening(spare);
  await ended(spare);
  const client = net.connect({
    port,
    host: "127.0.0.1",
    localAddress: "127.0.0.1",
    localPort: free,
  });
  client.resume();
  client.on("connect", () =>
    trace("local port", client.localPort === free, client.localAddress ?? ""),
  );
  await closed(client);
  await ended(server);
}

await family("127.0.0.1", "127.0.0.1");
await family("::1", "::1");
await wildcard();
await several();
await blocked();
await localPort();
