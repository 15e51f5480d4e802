/** IPv6, and sockets of both families, on the wire between two accelerated programs. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../support/until.js";
import { runCase } from "./support/run-case.js";

const PROGRAM = fileURLToPath(new URL("programs/families.js", import.meta.url));
const REGISTER = new URL("../../bundle/node/register.js", import.meta.url).href;
const [SERVER4, SERVER6, CLIENT4, CLIENT6] = ["10.79.6.1", "fd79:6::1", "10.79.6.2", "fd79:6::2"];
const PATH = `memif:@millrace-families-${process.pid}`;
const end = (role: string, ...addresses: string[]): NodeJS.ProcessEnv => ({
  MILLRACE_NIC: `${PATH},role=${role}`,
  MILLRACE_ADDRESS: addresses.join(),
});

test("sockets of both families see each family's peers as the kernel's do, those of IPv6 alone no other", async () => {
  const server = spawn(process.execPath, ["--import", REGISTER, PROGRAM, "server"], {
    env: { ...process.env, ...end("server", `${SERVER4}/24`, `${SERVER6}/64`) },
    stdio: ["pipe", "pipe", "inherit"],
  });
  after(() => void server.kill("SIGKILL"));
  let output = "";
  server.stdout.on("data", (d) => {
    output += d;
  });
  await until(() => output.includes("ready"), "the server");
  const { stdout, stderr, status } = await runCase(PROGRAM, {
    accelerated: true,
    args: ["client", SERVER4, SERVER6],
    env: { ...end("client", `${CLIENT4}/24`, `${CLIENT6}/64`), MILLRACE_LINK_WAIT: "60" },
  });
  assert.deepEqual(
    stdout.split("\n"),
    [
      `tcp 7100 ${SERVER4}: IPv6 ::ffff:${CLIENT4} at ::ffff:${SERVER4}`,
      `tcp 7101 ${SERVER4}: ECONNREFUSED`,
      `udp 7100 ${SERVER4}: IPv6 ::ffff:${CLIENT4}`,
      `tcp 7100 ${SERVER6}: IPv6 ${CLIENT6} at ${SERVER6}`,
      `tcp 7101 ${SERVER6}: IPv6 ${CLIENT6} at ${SERVER6}`,
      `udp 7100 ${SERVER6}: IPv6 ${CLIENT6}`,
      `udp 7101: IPv6 ${CLIENT6}`,
      `named: IPv6 ${CLIENT6} at ${SERVER6}`,
      "",
    ],
    stderr,
  );
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stderr, /stays with the kernel/);
  server.stdin.end();
});
