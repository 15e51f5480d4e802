/** iperf3 under `millrace run`: TCP, eight streams, the other direction, UDP. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { enterNamespace } from "../../support/namespace.js";
import { HERE, type Running, RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "iperf3");
const world = RunWorld.open();

let server: Running;
let tests = 0;
before(async () => {
  server = world.accelerated("iperf3", "-s", "--forceflush");
  await world.serves(5201, server);
});

interface Report {
  readonly error?: string;
  readonly end: {
    readonly sum_received?: { readonly bytes: number };
    readonly sum?: { readonly bytes: number; readonly packets: number };
    readonly streams: readonly unknown[];
  };
}

async function iperf(...options: string[]): Promise<Report["end"]> {
  await server.said(new RegExp(`listening .*\\(test #${++tests}\\)`)); // it listens anew each time
  const out = await world.run("iperf3", "-c", HERE, "-t", "1", "-J", ...options);
  const report = JSON.parse(out) as Report;
  assert.equal(report.error, undefined);
  return report.end;
}

for (const options of [[], ["-R"], ["-P", "8"]]) {
  test(`TCP ${options.join(" ")}`, async () => {
    const end = await iperf(...options);
    assert.ok(end.sum_received!.bytes > 0);
    assert.equal(end.streams.length, options[0] === "-P" ? 8 : 1);
  });
}

test("UDP: what was sent arrives", async () => {
  const end = await iperf("-u", "-b", "20M", "-l", "1400");
  assert.ok(end.sum!.packets > 0);
  await world.allAccelerated();
  await server.stop();
});
