/** Ticks run where the outermost scope ends, and not where a call from the event loop does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { LoopCall } from "./loop-call.js";

test("a call is made once for however many that asked, ticks run with what is scoped", async () => {
  const log: string[] = [];
  await new Promise<void>((resolve) => {
    const loopCall = new LoopCall(
      () => {
        log.push("call");
        process.nextTick(() => log.push("tick"));
        log.push("before");
        loopCall.callScoped();
        log.push("after");
        if (log.length < 8) loopCall.soon();
        else resolve();
      },
      () => log.push("scoped"),
    );
    loopCall.soon();
    loopCall.soon();
  });
  const once = ["call", "before", "scoped", "tick", "after"];
  assert.deepEqual(log, [...once, ...once]);
});

test("what is thrown is an uncaught exception, and the thread may end at any time", async () => {
  const url = new URL("loop-call.js", import.meta.url).href;
  const code = `
    import { LoopCall, throwUncaught } from ${JSON.stringify(url)};
    let n = 0;
    const errors = [];
    process.on("uncaughtException", (e) => errors.push(e));
    const loopCall = new LoopCall(() => {
      loopCall.soon();
      if (n++ === 0) throw "thrown";
      if (n === 2) throwUncaught("told");
      if (n === 3) process.emit("message", errors.join());
    }, () => {});
    loopCall.soon();
    const { parentPort } = await import("node:worker_threads");
    process.on("message", (text) => parentPort.postMessage(text));
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const text = await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  assert.equal(text, "thrown,told");
  assert.equal(await worker.terminate(), 1);
});
