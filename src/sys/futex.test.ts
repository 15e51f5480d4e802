import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { closeFd } from "./fd.js";
import { FutexWait, futexWait, futexWake } from "./futex.js";
import { createMemfd, mapShared } from "./memory.js";

const PAGE = 4096;
const US_PER_S = 1_000_000;

function wordsOf(fd: number): { bytes: Uint8Array; words: Int32Array } {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  mapShared(memory, { at: 0, lengthBytes: PAGE, fd });
  return { bytes: new Uint8Array(memory.buffer), words: new Int32Array(memory.buffer) };
}

test("a word that is not the expected one is not waited for", () => {
  const bytes = new Uint8Array(16);
  assert.equal(futexWait(bytes, 8, 1, -1), FutexWait.CHANGED);
});

test("a wait that nobody ends, ends in time", () => {
  assert.equal(futexWait(new Uint8Array(16), 8, 0, 1_000), FutexWait.TIMED_OUT);
  assert.equal(futexWait(new Uint8Array(16), 8, 0, 0), FutexWait.TIMED_OUT);
});

test("nobody waits: nobody is woken", () => {
  assert.equal(futexWake(new Uint8Array(16), 0, 10), 0);
});

test("words outside the bytes, or between words, are refused", () => {
  const bytes = new Uint8Array(16);
  for (const at of [16, 20, 2 ** 40]) {
    assert.throws(() => futexWake(bytes, at, 1), { code: "EFAULT", syscall: "futex" });
    assert.throws(() => futexWait(bytes, at, 0, 0), { code: "EFAULT" });
  }
  assert.throws(() => futexWake(bytes, 2, 1), { code: "EINVAL" });
  assert.throws(() => futexWake(new Uint8Array(3), 0, 1), { code: "EFAULT" });
});

test("another process is woken, and sees what was written before", {
  timeout: 60_000,
}, async () => {
  const fd = createMemfd("millrace-test", PAGE);
  const { bytes, words } = wordsOf(fd);
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const script = `
    import { openSync } from "node:fs";
    import { futexWait } from ${url("./futex.js")};
    import { mapShared } from ${url("./memory.js")};
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const fd = openSync("/proc/${process.pid}/fd/${fd}", "r+");
    mapShared(memory, { at: 0, lengthBytes: ${PAGE}, fd });
    const words = new Int32Array(memory.buffer);
    Atomics.store(words, 1, 1); // about to wait
    let ended = -1;
    while (Atomics.load(words, 0) === 0) ended = futexWait(new Uint8Array(memory.buffer), 0, 0, ${30 * US_PER_S});
    console.log(ended, words[2]);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const printed: Buffer[] = [];
  child.stdout.on("data", (data: Buffer) => printed.push(data));
  while (Atomics.load(words, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  // Woken with the word unchanged it waits again: how we know that it does wait.
  while (futexWake(bytes, 0, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  words[2] = 42;
  Atomics.store(words, 0, 1);
  futexWake(bytes, 0, 1);
  assert.equal(await exited, 0);
  // CHANGED when the word changed between its look and its wait.
  assert.match(Buffer.concat(printed).toString(), /^[01] 42\n$/);
  closeFd(fd);
});
