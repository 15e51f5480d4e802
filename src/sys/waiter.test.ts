import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { closeFd, createEvent, drainEvent, signalEvent, silenceFd } from "./fd.js";
import { FdWaiter } from "./waiter.js";

const openFds = () => readdirSync("/proc/self/fd").length;
const threads = () => readdirSync("/proc/self/task").length;

async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await nextTurn();
}

test("it calls back once for each arming, while a descriptor stays readable", async () => {
  const waiter = new FdWaiter();
  const fd = createEvent();
  waiter.add(fd);
  signalEvent(fd);
  let wakes = 0;
  await new Promise<void>((resolve) => {
    waiter.arm(() => {
      wakes++;
      resolve();
    });
    assert.equal(wakes, 0, "not from within arm");
  });
  await turns(50);
  assert.equal(wakes, 1);
  await new Promise<void>((resolve) => waiter.arm(resolve));
  waiter.close();
  closeFd(fd);
});

test("an event that comes after arming wakes it, a hundred times in a row", async () => {
  const waiter = new FdWaiter();
  const fds = [createEvent(), createEvent(), createEvent()];
  for (const fd of fds) waiter.add(fd);
  for (let i = 0; i < 100; i++) {
    const woken = new Promise<void>((resolve) => waiter.arm(resolve));
    const fd = fds[i % 3]!;
    signalEvent(fd);
    await woken;
    assert.equal(drainEvent(fd), true);
  }
  waiter.close();
  for (const fd of fds) closeFd(fd);
});

test("a disarmed waiter does not call back, also when the wake was on its way", async () => {
  const waiter = new FdWaiter();
  const fd = createEvent();
  waiter.add(fd);
  const called: string[] = [];
  for (let i = 0; i < 50; i++) {
    waiter.arm(() => called.push("first"));
    signalEvent(fd);
    const untilMs = performance.now() + 0.2;
    while (performance.now() < untilMs); // the wake is queued now
    waiter.disarm();
    drainEvent(fd);
    const woken = new Promise<void>((resolve) =>
      waiter.arm(() => {
        called.push("second");
        resolve();
      }),
    );
    signalEvent(fd);
    await woken;
    drainEvent(fd);
  }
  assert.deepEqual(called, Array(50).fill("second"));
  waiter.close();
  closeFd(fd);
});

test("a removed descriptor wakes nobody, and adding one twice is EEXIST", async () => {
  const waiter = new FdWaiter();
  const fd = createEvent();
  waiter.add(fd);
  assert.throws(() => waiter.add(fd), { code: "EEXIST", syscall: "epoll_ctl" });
  waiter.remove(fd);
  signalEvent(fd);
  let wakes = 0;
  waiter.arm(() => wakes++);
  await turns(50);
  assert.equal(wakes, 0);
  waiter.close();
  closeFd(fd);
});

test("descriptors that left by themselves may be removed, and wake nobody", async () => {
  const waiter = new FdWaiter();
  const [closed, silenced] = [createEvent(), createEvent()];
  for (const fd of [closed, silenced]) {
    waiter.add(fd);
    signalEvent(fd);
  }
  closeFd(closed);
  silenceFd(silenced);
  waiter.arm(() => assert.fail("woken"));
  await turns(50);
  waiter.remove(closed);
  waiter.remove(silenced);
  waiter.close();
  closeFd(silenced);
});

test("a closed waiter is inert: close again, disarm, and a clear refusal to arm", () => {
  const waiter = new FdWaiter();
  waiter.close();
  waiter.close();
  waiter.disarm();
  assert.throws(() => waiter.arm(() => {}), { code: "EBADF" });
  assert.throws(() => waiter.add(0), { code: "EBADF" });
});

test("an armed waiter keeps the process alive, an idle one does not", () => {
  const script = (armed: boolean) => `
    import { FdWaiter } from ${JSON.stringify(new URL("./waiter.js", import.meta.url).href)};
    import { createEvent, signalEvent } from ${JSON.stringify(new URL("./fd.js", import.meta.url).href)};
    const waiter = new FdWaiter();
    const fd = createEvent();
    waiter.add(fd);
    ${armed ? "waiter.arm(() => console.log('woken')); setTimeout(() => signalEvent(fd), 50).unref();" : ""}
  `;
  const run = (armed: boolean) =>
    spawnSync(process.execPath, ["--input-type=module", "-e", script(armed)], {
      encoding: "utf8",
      timeout: 120_000,
    });
  const idle = run(false);
  assert.deepEqual([idle.status, idle.stdout], [0, ""], idle.stderr);
  // The timer does not keep the process alive; only the waiter does.
  const armed = run(true);
  assert.deepEqual([armed.status, armed.stdout], [0, "woken\n"], armed.stderr);
});

test("opening and closing many leaves no thread and no descriptor behind", async () => {
  const warm = new FdWaiter();
  warm.close();
  await turns(5);
  const before = [openFds(), threads()];
  for (let i = 0; i < 200; i++) {
    const waiter = new FdWaiter();
    const fd = createEvent();
    waiter.add(fd);
    waiter.arm(() => assert.fail("closed before it could wake"));
    signalEvent(fd);
    waiter.close();
    closeFd(fd);
  }
  await turns(5);
  assert.deepEqual([openFds(), threads()], before);
});

test("a worker thread that ends with a waiter armed leaves no thread behind", async () => {
  const source = `
    import(${JSON.stringify(new URL("./waiter.js", import.meta.url).href)}).then(({ FdWaiter }) => {
      const waiter = new FdWaiter();
      waiter.arm(() => {});
      require("node:worker_threads").parentPort.postMessage("armed");
    });`;
  const before = openFds();
  const run = async () => {
    const worker = new Worker(source, { eval: true });
    await new Promise((resolve) => worker.once("message", resolve));
    await worker.terminate();
  };
  for (let i = 0; i < 3; i++) await run();
  await turns(5);
  assert.equal(openFds(), before);
});

test("it takes no time of the processor while it waits", async () => {
  const waiter = new FdWaiter();
  const fd = createEvent();
  waiter.add(fd);
  const cpu = process.cpuUsage();
  const woken = new Promise<void>((resolve) => waiter.arm(resolve));
  setTimeout(() => signalEvent(fd), 300);
  await woken;
  const used = process.cpuUsage(cpu);
  assert.ok(used.user + used.system < 150_000, `used ${used.user + used.system} µs of 300,000`);
  waiter.close();
  closeFd(fd);
});
