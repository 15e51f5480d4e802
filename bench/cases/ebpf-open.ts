/** From an object's bytes to its program's first run: `ebpf-open.js FILE wasm|kernel`; prints one JSON line. */
import { readFileSync } from "node:fs";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { parseObject } from "../../src/ebpf/object.js";
import { KernelObject } from "../../src/nic/kernel-object.js";

const [file, engine] = process.argv.slice(2) as [string, string];
const bytes = readFileSync(file);
const packet = new Uint8Array(64);
const start = performance.now();
const object = parseObject(bytes);
const parsed = performance.now();
const { name } = object.programs[0]!;
if (engine === "kernel") {
  const kernel = KernelObject.load(object, { program: name });
  kernel.run(packet, new Uint8Array(4096));
} else {
  XdpInstance.open(object, { program: name, engine: "wasm" }).run(packet);
}
const end = performance.now();
console.log(JSON.stringify({ open_ms: end - start, parse_ms: parsed - start }));
