/** `millrace xdp load`: the object into the kernel, and onto an interface until Ctrl-C. */
import type { BpfObject } from "../../ebpf/object.js";
import { KernelObject } from "../../nic/kernel-object.js";
import { XdpLink } from "../../sys/xdp-link.js";
import { DONE, type World } from "../world.js";
import { definitionOf, fillMap, parseMapOption, readMap, type WritableMap } from "./map-file.js";
import { chooseProgram, type ObjectOptions, readObject } from "./object-file.js";
import { kernelMap, parseSizes } from "./runner.js";

export interface LoadOptions extends ObjectOptions {
  readonly dev?: string;
  readonly map?: readonly string[];
  readonly maxEntries?: readonly string[];
  readonly dump?: boolean;
}

/** Returns the exit status. Without an interface the kernel's verifier is asked, and that is all. */
export async function loadProgram(
  file: string,
  options: LoadOptions,
  world: World,
): Promise<number> {
  const object = readObject(file, options);
  const { name } = chooseProgram(object, options.program);
  const maxEntries = parseSizes(object, options.maxEntries);
  const kernel = KernelObject.load(object, {
    program: name,
    maxEntries,
    fill: (mapOf, refer) =>
      fillMaps(object, options.map ?? [], (map) => ({
        ...kernelMap(mapOf(map)),
        refer: (key, target) => refer(map, key, target),
      })),
  });
  try {
    if (options.dev === undefined) await world.err.write(`the kernel takes ${name}\n`);
    else await attach(kernel, name, options.dev, world);
    if (options.dump !== true && options.json !== true) return DONE;
    const maps = object.maps.flatMap(({ name: map }) => {
      const entries = readMap(object, map, kernelMap(kernel.map(map)));
      return entries === null ? [] : [[map, entries] as const];
    });
    await world.out.write(`${JSON.stringify(Object.fromEntries(maps), null, 2)}\n`);
    return DONE;
  } finally {
    kernel.close();
  }
}

/** Before the program is loaded: constants are what the options say then. */
function fillMaps(
  object: BpfObject,
  texts: readonly string[],
  mapOf: (name: string) => WritableMap,
): void {
  for (const text of texts) {
    const [name, entries] = parseMapOption(text);
    definitionOf(object, name); // names the maps that there are
    fillMap(object, name, entries, mapOf(name));
  }
}

async function attach(
  kernel: KernelObject,
  name: string,
  interfaceName: string,
  world: World,
): Promise<void> {
  const link = XdpLink.attach({ interfaceName, programFd: kernel.fd, mode: "auto" });
  try {
    const why = link.fallbackReason === null ? "" : ` (${link.fallbackReason})`;
    await world.err.write(
      `${name} runs on ${interfaceName}, ${link.mode}${why}; Ctrl-C takes it off\n`,
    );
    // Aborting is all that is awaited, and a signal alone keeps no process alive.
    const keepAlive = setInterval(() => {}, 60_000);
    if (!world.stop.aborted) {
      await new Promise((resolve) => world.stop.addEventListener("abort", resolve, { once: true }));
    }
    clearInterval(keepAlive);
  } finally {
    link.close();
  }
}
