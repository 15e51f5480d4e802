import assert from "node:assert/strict";
import { test } from "node:test";
import { nowUs } from "./clock.js";
import { EngineRig } from "./engine-fixture.js";
import { EngineLoop } from "./engine-loop.js";
import { bindUdp } from "./test-sockets-fixture.js";

const RUN_US = 100_000;

/** How often a loop that is to poll for ever would sleep while a millisecond is missing now and then. */
function sleepsWhenInterrupted(switches: () => number): Promise<number> {
  const rig = new EngineRig({ profile: "latency" });
  bindUdp(rig.client(), 1_000); // somebody to poll for
  let sleeps = 0;
  rig.engine.prepareSleep = () => {
    sleeps++;
    return false;
  };
  const endUs = nowUs() + RUN_US;
  let missingUs = 0;
  let readings = 0;
  return new Promise((resolve) => {
    const clock = (): number => {
      if (++readings % 64 === 0) missingUs += 1_000;
      if (nowUs() > endUs) loop.stop();
      return nowUs() + missingUs;
    };
    const onEnd = (): void => {
      rig.close();
      resolve(sleeps);
    };
    const options = { clock, switches, idleExitUs: 1e12, hasVisitors: () => false, onEnd };
    const loop: EngineLoop = new EngineLoop(rig.engine, options);
    loop.start();
  });
}

test("who loses the processor to other threads sleeps when there is no work", async () => {
  let switches = 0;
  assert.ok((await sleepsWhenInterrupted(() => switches++)) > 0);
});

test("who loses it to a hypervisor goes on polling: it would not get it back soon", async () => {
  assert.equal(await sleepsWhenInterrupted(() => 7), 0);
});
