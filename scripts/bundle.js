/**
 * Joins the compiled modules that programs load into a few files in dist/bundle, which the package's subpaths
 * name: loading 200 files costs a program 150 ms more than loading five. Names and lines stay as compiled, and each
 * part says which file it was; `node --enable-source-maps` gives places in src/ in a checkout.
 *
 * All subpaths are bundled together, because they share state: what two of them use is in a chunk of its own.
 * Chunks lie as deep as src's files do, beside node/'s entries, so paths from a module's own URL hold:
 * `stack-side.js`, `open-device.js` and `rules-parser.js` are loaded late, by such paths (src/node/accelerator.ts).
 */
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SUBPATHS = ["index", "sim/index", "wire/index", "ebpf/index", "xdp/index"];
const NODE = ["node/register", "node/net", "node/dgram", "node/poll"];
const LATE = ["node/stack-side", "socket/open-device", "socket/rules-parser"];

const root = fileURLToPath(new URL("..", import.meta.url));
let esbuild;
try {
  esbuild = await import("esbuild");
} catch {
  console.error("esbuild is missing; run: npm ci");
  process.exit(1);
}
rmSync(`${root}dist/bundle`, { recursive: true, force: true });
await esbuild.build({
  absWorkingDir: root,
  entryPoints: [...SUBPATHS, ...NODE, ...LATE].map((name) => `dist/src/${name}.js`),
  outdir: "dist/bundle",
  outbase: "dist/src",
  chunkNames: "node/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  sourcemap: true,
  sourcesContent: false,
  legalComments: "none",
  logLevel: "warning",
});
