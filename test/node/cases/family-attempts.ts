/** Addresses of a name one after the other: attempts that nobody answers in time, defaults, and who passes them on. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { closed, ended, listening } from "../support/sockets.js";
import { errorText, HERE, trace } from "../support/trace.js";

/** Nobody's: on a device it is asked for and nobody answers; loopback's neighbour refuses. */
const SILENT = HERE.replace(/\d+$/, "200");
/** The net's number left out: the kernel's is another one. */
const hostOf = (ip: string): string => ip.replace(HERE.replace(/\d+$/, ""), "net.");
const server = net.createServer((socket) => {
  socket.on("error", () => {}).end("x");
});
const port = await listening(server, { host: HERE });

type Found = readonly { readonly address: string; readonly family: number }[];
const four = (address: string): Found[number] => ({ address, family: 4 });
const answer =
  (found: Found): net.LookupFunction =>
  (_host, options, done) => {
    // Later, so that whoever connects hears of the first attempt.
    setImmediate(() => {
      if (options.all) done(null, [...found]);
      else done(null, found[0]!.address, found[0]!.family);
    });
  };

function follow(name: string, client: net.Socket): void {
  client.on("connectionAttempt", (ip, _port, family) => trace(name, "attempt", hostOf(ip), family));
  client.on("connectionAttemptTimeout", (ip, _port, family) =>
    trace(name, "late", hostOf(ip), family),
  );
  client.on("connectionAttemptFailed", (ip, _p, family, e?: Error) =>
    trace(name, "failed", hostOf(ip), family, e === undefined ? "" : errorText(e)),
  );
  client.on("connect", () => trace(name, "connect", client.remoteAddress));
  client.on("error", (e) => trace(name, "error", errorText(e)));
}

async function attempt(name: string, found: Found, options: object = {}): Promise<void> {
  const client = net.connect({ port, host: "example.test", lookup: answer(found), ...options });
  follow(name, client);
  client.resume();
  await closed(client);
  trace(name, client.autoSelectFamilyAttemptedAddresses?.length, client.bytesRead);
}

const soon = { autoSelectFamilyAttemptTimeout: 50 };
await attempt("silent first", [four(SILENT), four(HERE)], soon);
await attempt("two silent", [four(SILENT), four(SILENT.replace("200", "201")), four(HERE)], soon);
await attempt("not a route", [four("192.0.2.1"), four(HERE)], soon);
await attempt("one by one", [four(HERE), four(SILENT)], { ...soon, autoSelectFamily: false });

trace(
  "defaults",
  net.getDefaultAutoSelectFamily(),
  net.getDefaultAutoSelectFamilyAttemptTimeout() > 0,
);
net.setDefaultAutoSelectFamilyAttemptTimeout(60);
trace("defaults", net.getDefaultAutoSelectFamilyAttemptTimeout());
await attempt("default time", [four(SILENT), four(HERE)]);
net.setDefaultAutoSelectFamily(false);
await attempt("default off", [four(HERE), four(SILENT)]);
net.setDefaultAutoSelectFamily(true);

/** Given up by its owner while an attempt is under way, or by the socket's own time. */
async function givenUp(): Promise<void> {
  const client = net.connect({
    port,
    host: "example.test",
    lookup: answer([four(SILENT), four(SILENT)]),
    autoSelectFamilyAttemptTimeout: 30_000,
  });
  client.on("error", () => {}); // at loopback it is refused
  client.once("connectionAttempt", () => setImmediate(() => client.destroy()));
  await closed(client);
  trace("given up", client.destroyed, client.bytesRead);
}
await givenUp();

/** `http` hands the options on to its sockets. */
async function agent(): Promise<void> {
  const web = http.createServer((_request, response) => response.end("page"));
  const webPort = await listening(web, { host: HERE });
  const request = http.get({
    port: webPort,
    host: "example.test",
    lookup: answer([four(SILENT), four(HERE)]),
    agent: new http.Agent({ autoSelectFamily: true, ...soon }),
  });
  request.once("socket", (socket: net.Socket) => follow("http", socket));
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.resume();
  await once(response, "end");
  trace("http", response.statusCode);
  await ended(web);
}
await agent();
await ended(server);
