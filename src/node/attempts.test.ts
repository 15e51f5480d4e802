import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { test } from "node:test";
import { type Address, inTurn, tryInTurn } from "./attempts.js";

const address = (text: string): Address => ({ address: text, family: text.includes(":") ? 6 : 4 });

/** Tries addresses, of which `good` answers and others do what they are named for; what happened. */
async function tried(addresses: string[], blockList?: BlockList): Promise<string[]> {
  const log: string[] = [];
  await new Promise<void>((resolve) => {
    tryInTurn<string>({
      addresses: addresses.map(address),
      port: 80,
      timeoutMs: 20,
      blockList,
      open: (to, ended) => {
        const isGood = to.endsWith("1");
        const isSilent = to.endsWith("3");
        const end = (): void => (isGood ? ended(null, to) : ended(new Error("refused"), null));
        if (!isSilent) process.nextTick(end);
        return { cancel: () => log.push(`gave up ${to}`) };
      },
      tell: (event, to, error) => log.push([event, to.address, error?.message ?? ""].join(" ")),
      ended: (error, connection) => {
        const { code } = (error ?? {}) as NodeJS.ErrnoException;
        log.push(`${error?.name ?? ""} ${code ?? ""} ${connection ?? ""}`.trim());
        resolve();
      },
    });
  });
  return log;
}

test("families take turns, that of the first address first", () => {
  const list = ["::1", "::2", "::3", "10.0.0.1"].map(address);
  assert.deepEqual(
    inTurn(list).map((a) => a.address),
    ["::1", "10.0.0.1", "::2", "::3"],
  );
  assert.deepEqual(inTurn([]), []);
});

test("one that refuses, or says nothing for too long, is followed by the next", async () => {
  assert.deepEqual(await tried(["10.0.0.2", "10.0.0.3", "10.0.0.1", "10.0.0.4"]), [
    "connectionAttempt 10.0.0.2 ",
    "connectionAttemptFailed 10.0.0.2 refused",
    "connectionAttempt 10.0.0.3 ",
    "gave up 10.0.0.3",
    "connectionAttemptTimeout 10.0.0.3 ",
    "connectionAttempt 10.0.0.1 ",
    "10.0.0.1",
  ]);
});

test("what a block list forbids is not tried; with none left all errors are given", async () => {
  const list = new BlockList();
  list.addSubnet("10.0.0.0", 24);
  list.addAddress("fd00::1", "ipv6");
  const log = await tried(["10.0.0.1", "fd00::1"], list);
  assert.deepEqual(log.at(-1), "AggregateError ERR_IP_BLOCKED");
  assert.match(
    log[1]!,
    /connectionAttemptFailed 10\.0\.0\.1 IP\(10\.0\.0\.1\) is blocked by net\.BlockList/,
  );
  assert.deepEqual(await tried(["10.0.1.2"], list), [
    "connectionAttempt 10.0.1.2 ",
    "connectionAttemptFailed 10.0.1.2 refused",
    "Error",
  ]);
});
