/**
 * Real programs on two sides of a link, each side with or without Millrace: every one serves the other's
 * with nginx, nc and iperf3, and what arrives is what was sent.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Namespace } from "./namespace.js";
import type { Running, RunWorld } from "./run-world.js";
import { untilAsync } from "./until.js";

export const PROGRAMS = ["curl", "iperf3", "nc", "nginx"] as const;
const CONTENT_BYTES = 2_000_000;

/** One end of the link. */
export interface Side {
  readonly world: RunWorld;
  readonly address: string;
  /** What goes before a program's words: `millrace run --nic eth1`; nothing for the kernel. */
  readonly prefix: readonly string[];
  readonly isAccelerated: boolean;
}

/** Programs under Millrace with these options. */
export const accelerated = (world: RunWorld, address: string, ...options: string[]): Side => ({
  world,
  address,
  prefix: [world.millrace, "run", ...options],
  isAccelerated: true,
});

/** Programs of the kernel's, in a namespace or (null) in the test's own. */
export const plain = (world: RunWorld, address: string, where: Namespace | null): Side => ({
  world,
  address,
  prefix: where === null ? [] : ["ip", "netns", "exec", where.name],
  isAccelerated: false,
});

export const start = (side: Side, words: readonly string[], input: string | null = null): Running =>
  side.world.start([...side.prefix, ...words], input);

export async function output(
  side: Side,
  words: readonly string[],
  input: string | null = null,
): Promise<string> {
  return await side.world.output(start(side, words, input));
}

/** Until the server is there: in `millrace stat`, or in the kernel's table. */
async function serves(side: Side, port: number, server: Running, isUdp = false): Promise<void> {
  if (side.isAccelerated) return await side.world.serves(port, server);
  const ss = [...side.prefix, "ss", isUdp ? "-Hlun" : "-Hltn", `sport = :${port}`];
  let seen = "";
  await untilAsync(
    async () => {
      seen = await side.world.output(side.world.start(ss, null));
      return seen !== "";
    },
    () => `no server on port ${port}: ${server.out}${server.err}`,
    () => server.isOver,
  );
}

/** nginx of one side serves curl of the other. */
export async function tryHttp(server: Side, client: Side, port: number): Promise<void> {
  const place = mkdtempSync(join(server.world.folder, "nginx-"));
  const content = randomBytes(CONTENT_BYTES);
  writeFileSync(join(place, "big.bin"), content);
  const user = process.getuid!() === 0 ? "user root;" : "";
  writeFileSync(
    join(place, "nginx.conf"),
    `${user} worker_processes 2; daemon off; pid ${place}/pid; error_log ${place}/error.log;
events { worker_connections 64; }
http { access_log off; client_body_temp_path ${place}/b; proxy_temp_path ${place}/p;
  fastcgi_temp_path ${place}/f; uwsgi_temp_path ${place}/u; scgi_temp_path ${place}/s;
  server { listen ${port}; listen [::]:${port}; root ${place}; } }\n`,
  );
  const nginx = start(server, ["nginx", "-c", join(place, "nginx.conf")]);
  await serves(server, port, nginx);
  const copy = join(place, "copy.bin");
  const host = server.address.includes(":") ? `[${server.address}]` : server.address;
  await output(client, ["curl", "-sS", "-o", copy, `http://${host}:${port}/big.bin`]);
  const sum = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  assert.equal(sum(readFileSync(copy)), sum(content));
  await nginx.stop();
}

/** nc of one side hears what nc of the other says, over TCP and UDP. */
export async function tryNc(server: Side, client: Side, port: number): Promise<void> {
  const family = server.address.includes(":") ? ["-6"] : [];
  const listener = start(server, ["nc", ...family, "-l", `${port}`]);
  await serves(server, port, listener);
  const text = "line of text\n".repeat(10_000);
  await output(client, ["nc", "-N", server.address, `${port}`], text);
  const { status, out } = await listener.ended;
  assert.deepEqual([status, out.length, out === text], [0, text.length, true]);
  const receiver = start(server, ["nc", "-u", ...family, "-l", `${port}`]);
  await serves(server, port, receiver, true);
  const sender = start(client, ["nc", "-u", server.address, `${port}`], "datagram\n");
  await receiver.said(/datagram/);
  await Promise.all([sender.stop(), receiver.stop()]);
}

/** iperf3: TCP both ways, and UDP. */
export async function tryIperf(server: Side, client: Side, port: number): Promise<void> {
  const iperf = start(server, ["iperf3", "-s", "--forceflush", "-p", `${port}`]);
  for (const [i, options] of [[], ["-R"], ["-u", "-b", "10M", "-l", "1200"]].entries()) {
    await iperf.said(new RegExp(`listening .*\\(test #${i + 1}\\)`)); // it listens anew each time
    if (i === 0) await serves(server, port, iperf);
    const words = ["iperf3", "-c", server.address, "-p", `${port}`, "-t", "1", "-J", ...options];
    const { error, end } = JSON.parse(await output(client, words)) as {
      readonly error?: string;
      readonly end: {
        readonly sum_received?: { readonly bytes: number };
        readonly sum?: { readonly packets: number };
      };
    };
    assert.equal(error, undefined);
    if (options[0] === "-u") assert.ok(end.sum!.packets > 0);
    else assert.ok(end.sum_received!.bytes > 100_000, JSON.stringify(end.sum_received));
  }
  await iperf.stop();
}

/** All of it; each side is nginx's and nc's server once. */
export async function tryPrograms(near: Side, far: Side): Promise<void> {
  for (const [i, [server, client]] of [
    [near, far],
    [far, near],
  ].entries()) {
    await tryHttp(server!, client!, 8080 + i);
    await tryNc(server!, client!, 1234 + i);
  }
  await tryIperf(far, near, 5201);
}
