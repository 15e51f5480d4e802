/**
 * What preloading costs: the milliseconds from the start of the process to the program, which is this
 * one and measures itself.
 */
const { user, system } = process.cpuUsage();
console.log(
  JSON.stringify({ start_ms: Number(performance.now().toFixed(2)), cpu_ms: (user + system) / 1e3 }),
);
