/** nginx with two workers and wrk, redis, git over git://. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace } from "../../support/namespace.js";
import { HERE, RunWorld } from "../../support/run-world.js";

await enterNamespace(
  import.meta.url,
  ...["nginx", "wrk", "redis-server", "redis-cli", "redis-benchmark", "git", "curl"],
);
const world = RunWorld.open();

test("nginx with two workers, wrk and curl", async () => {
  const place = join(world.folder, "nginx");
  mkdirSync(place);
  writeFileSync(join(place, "index.html"), "from nginx\n");
  const user = process.getuid!() === 0 ? "user root;" : "";
  writeFileSync(
    join(place, "nginx.conf"),
    `${user} worker_processes 2; daemon off; pid ${place}/pid; error_log ${place}/error.log;
events { worker_connections 256; }
http { access_log off; client_body_temp_path ${place}/b; proxy_temp_path ${place}/p;
  fastcgi_temp_path ${place}/f; uwsgi_temp_path ${place}/u; scgi_temp_path ${place}/s;
  server { listen 8080; root ${place}; } }\n`,
  );
  const nginx = world.accelerated("nginx", "-c", join(place, "nginx.conf"));
  await world.serves(8080, nginx);
  const url = `http://${HERE}:8080/`;
  assert.equal(await world.run("curl", "-sS", url), "from nginx\n");
  const wrk = await world.run("wrk", "-t", "2", "-c", "16", "-d", "2", url);
  assert.match(wrk, /Requests\/sec: +[1-9]/);
  assert.doesNotMatch(wrk, /Socket errors|Non-2xx/);
  const short = await world.run(
    ...["wrk", "-t", "1", "-c", "4", "-d", "1", "-H", "Connection: close", url],
  );
  assert.match(short, /Requests\/sec: +[1-9]/);
  assert.doesNotMatch(short, /Non-2xx/);
  const { holders } = await world.has(
    ({ localPort, state }) => localPort === 8080 && state === "LISTEN",
    "nginx",
  );
  assert.ok(
    holders.length >= 3,
    `master and workers share the listener: ${JSON.stringify(holders)}`,
  );
  await nginx.stop();
  assert.doesNotMatch(readFileSync(join(place, "error.log"), "utf8"), /\[(alert|crit|emerg)\]/);
});

test("redis-server, redis-cli, redis-benchmark", async () => {
  const options = "--port 6379 --protected-mode no --appendonly no --daemonize no";
  const redis = world.accelerated(
    "redis-server",
    ...options.split(" "),
    "--save",
    "",
    "--dir",
    world.folder,
  );
  await world.serves(6379, redis);
  const cli = ["redis-cli", "-h", HERE];
  assert.equal(await world.run(...cli, "set", "key", "x".repeat(100_000)), "OK\n");
  assert.equal(await world.run(...cli, "strlen", "key"), "100000\n");
  assert.equal(await world.runPlain("redis-cli", "-h", "127.0.0.1", "strlen", "key"), "100000\n");
  for (const pipeline of ["1", "16"]) {
    const csv = await world.run(
      ...["redis-benchmark", "-h", HERE, "-t", "get,set", "-n", "5000", "-c", "50", "-P", pipeline],
      "--csv",
    );
    assert.match(csv, /"GET","[1-9]/);
  }
  await world.allAccelerated();
  await redis.stop();
});

test("git clone over git://", async () => {
  const source = join(world.folder, "git", "project");
  mkdirSync(source, { recursive: true });
  const git = (...args: string[]): string =>
    execFileSync("git", ["-C", source, "-c", "user.name=a", "-c", "user.email=a@b", ...args], {
      encoding: "utf8",
    });
  git("init", "-q");
  writeFileSync(join(source, "big"), Buffer.alloc(2_000_000, "millrace "));
  git("add", ".");
  git("commit", "-q", "-m", "one");
  const base = join(world.folder, "git");
  const daemon = world.accelerated(
    ...["git", "daemon", "--export-all", "--reuseaddr", `--base-path=${base}`, base],
  );
  await world.serves(9418, daemon);
  const copy = join(world.folder, "clone");
  await world.run("git", "clone", "-q", `git://${HERE}/project`, copy);
  assert.deepEqual(readFileSync(join(copy, "big")), readFileSync(join(source, "big")));
  await daemon.stop();
});
