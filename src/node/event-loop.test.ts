/** Runs are called whatever those who are told throw. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

test("a run that was due comes when a tick after news of a write has thrown", async () => {
  const url = new URL("event-loop.js", import.meta.url).href;
  const code = `
    import { parentPort } from "node:worker_threads";
    import { NodeEventLoop } from ${JSON.stringify(url)};
    const errors = [];
    let runs = 0;
    process.on("uncaughtException", (e) => errors.push(e.message));
    const loop = NodeEventLoop.open(() => runs++);
    loop.soon();
    loop.later(() => {
      process.nextTick(() => { throw new Error("tick"); });
      throw new Error("news");
    });
    const iterations = (n) => n === 0 ? parentPort.postMessage({ runs, errors }) : setImmediate(iterations, n - 1);
    iterations(4);
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const [told] = (await once(worker, "message")) as [{ runs: number; errors: string[] }];
  assert.deepEqual(told, { runs: 1, errors: ["news", "tick"] });
  await worker.terminate();
});
