#!/usr/bin/env node
import { existsSync } from "node:fs";

const [major, minor] = process.versions.node.split(".").map(Number);
const start = new URL("../dist/src/cli/start.js", import.meta.url);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`millrace: Node.js 20.19 or newer is needed, this is ${process.versions.node}`);
  process.exitCode = 1;
} else if (!existsSync(start)) {
  console.error("millrace: this checkout is not built yet; run: npm ci && npm run build");
  process.exitCode = 1;
} else {
  try {
    await (await import(start.href)).start();
  } catch (error) {
    if (error.code !== "EMFILE") throw error;
    console.error("millrace: there are no descriptors left to load it; see ulimit -n");
    process.exitCode = 3;
  }
}
