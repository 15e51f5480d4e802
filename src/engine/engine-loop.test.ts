import assert from "node:assert/strict";
import { test } from "node:test";
import { nowUs } from "./clock.js";
import { EngineRig } from "./engine-fixture.js";
import { EngineLoop } from "./engine-loop.js";
import { bindUdp } from "./test-sockets-fixture.js";

/** How often the loop reads the clock, and how long that takes. */
const READINGS = 10_000;
const READING_US = 5;

/** How often a loop that is to poll for ever would sleep while a millisecond is missing now and then. */
function sleepsWhenInterrupted(switches: () => number): Promise<number> {
  const rig = new EngineRig({ profile: "latency" });
  bindUdp(rig.client(), 1_000); // somebody to poll for
  let sleeps = 0;
  rig.engine.prepareSleep = () => {
    sleeps++;
    return false;
  };
  // A clock of its own: how much the machine lets the loop do in real time, nobody knows.
  let timeUs = nowUs();
  let readings = 0;
  return new Promise((resolve) => {
    const clock = (): number => {
      timeUs += ++readings % 64 === 0 ? 1_000 : READING_US;
      if (readings > READINGS) loop.stop();
      return timeUs;
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
