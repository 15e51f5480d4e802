/** Real servers for packages to talk to, each with a folder of its own that is gone afterwards. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Service {
  readonly port: number;
  stop(): void;
}

const WAIT_MS = 30_000;
const PAUSE_MS = 50;

/** Starts redis-server at an address of the kernel's. */
export async function startRedis(address: string, port: number): Promise<Service> {
  const args = ["--bind", address, "--port", `${port}`, "--save", "", "--protected-mode", "no"];
  const folder = mkdtempSync(join(tmpdir(), "millrace-redis-"));
  const child = spawn("redis-server", [...args, "--dir", folder], { stdio: "ignore" });
  const stop = (): void => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", stop);
  await accepts(address, port);
  return { port, stop };
}

/** Makes a cluster of PostgreSQL and starts it. Nobody is asked for a password. */
export async function startPostgres(address: string, port: number): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-postgres-"));
  const data = join(folder, "data");
  chmodSync(folder, 0o777);
  // It refuses to run as root.
  const asUser = process.getuid?.() === 0 ? ["setpriv", "--reuid=postgres", "--clear-groups"] : [];
  const run = (program: string, ...args: string[]): readonly [string, string[]] => {
    const [first, ...rest] = [...asUser, join(binaries(), program), ...args];
    return [first!, rest];
  };
  const [initdb, initArgs] = run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N");
  execFileSync(initdb, initArgs, { stdio: "ignore", cwd: folder });
  const [postgres, args] = run(
    "postgres",
    "-D",
    data,
    "-p",
    `${port}`,
    "-h",
    address,
    "-k",
    folder,
  );
  const own = ["-c", "fsync=off", "-c", "shared_buffers=16MB"];
  allow(data, address);
  const child = spawn(postgres, [...args, ...own], { stdio: "ignore", cwd: folder });
  const stop = (): void => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", stop);
  await accepts(address, port);
  return { port, stop };
}

/** Clients come from other addresses, too. */
function allow(data: string, address: string): void {
  const network = `${address.split(".").slice(0, 3).join(".")}.0/24`;
  const file = join(data, "pg_hba.conf");
  execFileSync("sh", ["-c", `echo "host all all ${network} trust" >> ${file}`]);
}

function binaries(): string {
  const [version] = readdirSync("/usr/lib/postgresql").sort().reverse();
  return `/usr/lib/postgresql/${version}/bin`;
}

async function accepts(address: string, port: number): Promise<void> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    const socket = net.connect(port, address);
    const isThere = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
    socket.destroy();
    if (isThere) return;
    if (performance.now() > endMs) throw new Error(`nobody listens at ${address}:${port}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
