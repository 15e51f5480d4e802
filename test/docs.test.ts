/** Documents and comments point at what exists: paths, names of files, links, and headings that links name. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Documents whose backticked paths count from the root. */
const FROM_ROOT = ["README.md", "docs/map.md", "docs/scripts.md", "docs/dependencies.md"];
const PATH = /`((?:src|docs|test|bench|fuzz|examples|native|scripts|bin|\.ci)\/[^`\s]*)`/g;
const LINK = /\]\(([^)#]*)(?:#([^)]*))?\)/g;

const SKIPPED = new Set(["node_modules", "dist", ".git"]);
const QUOTED = /`([^`\s]+)`/g;
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*/g;
const WORD_END = /[\s`"'()[\],;:*{}|]+|\.(?=\s)/;
/** `udp.ts`, `ip/udp.ts`, `docs/map.md`; not `t.c`, an object's field, nor `wire/PROTOCOL.ts`, a pattern. */
const SOURCE_NAME = /^(?:[\w-]+\/)*(?:[a-z][\w-]+(?:\.test)?\.ts|\w[\w-]+\.md)$/;

/** Documents and TypeScript, by their paths. */
function files(folder = ""): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : files(path);
    return /\.(md|ts)$/.test(entry.name) ? [path] : [];
  });
}

const documents = (): string[] => files().filter((path) => path.endsWith(".md"));

test("every path that the README and the map name exists", () => {
  const missing: string[] = [];
  for (const document of FROM_ROOT) {
    for (const [, path] of read(document).matchAll(PATH)) {
      const isPattern = /[A-Z]{4}/.test(path!) && !path!.endsWith(".md"); // src/wire/PROTOCOL.ts
      if (!isPattern && !existsSync(join(ROOT, path!))) missing.push(`${document}: ${path}`);
    }
  }
  assert.deepEqual(missing, []);
});

test("every source file that a document or a comment names exists", () => {
  const all = files();
  const places = new Set(
    all.flatMap((path) => path.split("/").map((_, i, w) => w.slice(i).join("/"))),
  );
  const missing: string[] = [];
  for (const path of all) {
    const text = read(path);
    const words = path.endsWith(".md")
      ? [...text.matchAll(QUOTED)].map(([, word]) => word!)
      : [...text.matchAll(COMMENT)].flatMap(([comment]) => comment.split(WORD_END));
    for (const word of words) {
      const place = word.replace(/^(?:\.\.?\/)+/, "");
      if (SOURCE_NAME.test(place) && !places.has(place)) missing.push(`${path}: ${word}`);
    }
  }
  assert.deepEqual(missing, []);
});

test("every link in a document leads somewhere", () => {
  const missing: string[] = [];
  for (const document of documents()) {
    for (const [, target, heading] of read(document).matchAll(LINK)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const path = target === "" ? document : join(dirname(document), target!);
      if (!existsSync(join(ROOT, path))) missing.push(`${document}: ${target}`);
      else if (heading !== undefined && !headings(path).includes(heading)) {
        missing.push(`${document}: ${target}#${heading}`);
      }
    }
  }
  assert.deepEqual(missing, []);
});

test("a folder's README is at most 60 lines", () => {
  const long = documents()
    .filter((path) => path.endsWith("/README.md"))
    .filter((path) => read(path).split("\n").length > 61);
  assert.deepEqual(long, []);
});

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

function headings(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
    text!
      .toLowerCase()
      .replaceAll(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-"),
  );
}
