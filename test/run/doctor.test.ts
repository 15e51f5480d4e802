/** `millrace doctor COMMAND` as a user runs it, on programs that cannot be accelerated, and one that can. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { needsRoot } from "../support/namespace.js";
import { requireTools } from "../support/tools.js";

requireTools("cc");
const MILLRACE = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "millrace-doctor-"));
after(() => rmSync(folder, { recursive: true }));

function compile(name: string, source: string, ...options: string[]): string {
  const output = join(folder, name);
  execFileSync("cc", [...options, "-x", "c", "-o", output, "-"], { input: source });
  return output;
}

interface Said {
  readonly status: string;
  readonly detail: string;
  readonly fix?: string;
}

/** What it says of the program, without this machine's own state. */
function examine(command: string): Said & { readonly exit: number | null } {
  const words = [MILLRACE, "doctor", "--json", command];
  const { status: exit, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  assert.equal(stderr, "");
  const { checks } = JSON.parse(stdout) as { checks: (Said & { name: string })[] };
  const found = checks.find(({ name }) => name === "program");
  assert.ok(found !== undefined, stdout);
  return { ...found, exit };
}

const MAIN = "int main(void) { return 0; }\n";
/** What Go's linker leaves in a program: its build number as a note, and its settings. */
const GO = `__attribute__((section(".go.buildinfo"), used)) static const char info[] = "\\xff Go buildinf:";
asm(".section .note.go.buildid,\\"a\\",@note\\n.long 4,8,4\\n.ascii \\"Go\\\\0\\\\0abcdefg\\\\0\\"\\n.previous");
`;

test("an ordinary program", () => {
  const said = examine(compile("plain", MAIN));
  assert.equal(said.status, "ok");
  assert.match(said.detail, /plain is dynamically linked/);
});

test("a static program, and a static Go program, which is told apart", () => {
  const fixed = examine(compile("fixed", MAIN, "-static"));
  assert.deepEqual([fixed.status, fixed.exit], ["fail", 1]);
  assert.match(fixed.detail, /fixed is statically linked, so nothing can be preloaded; it runs/);
  assert.match(fixed.fix!, /link it dynamically/);
  for (const kind of ["-static", "-pie"]) {
    const go = examine(compile(`go${kind}`, GO + MAIN, kind));
    assert.deepEqual([go.status, go.exit], ["fail", 1]);
    assert.match(go.detail, /is a Go program: its runtime asks the kernel without libc; it runs/);
  }
});

test("a program with a set-user-id bit for another user", () => {
  // Only root may give a file away; for others, su belongs to root.
  let path = "su";
  if (process.getuid!() === 0) {
    path = compile("privileged", MAIN);
    execFileSync("chown", ["65534", path]);
    chmodSync(path, 0o4755);
  }
  const said = examine(path);
  assert.deepEqual([said.status, said.exit], ["fail", 1]);
  assert.match(said.detail, /has a set-user-id or set-group-id bit.* it runs, unaccelerated/);
  assert.match(said.fix!, /^run a copy without them: .* cp \S*\/(privileged|su) /);
});

test("the copy that doctor proposes is another file without the bit, wherever the program lies", {
  skip: needsRoot(), // only root may give a file away
}, (t) => {
  const path = join(tmpdir(), `millrace-privileged-${process.pid}`);
  t.after(() => rmSync(path));
  copyFileSync(compile("copied", MAIN), path);
  execFileSync("chown", ["65534", path]);
  chmodSync(path, 0o4755);
  const fix = examine(path).fix!.replace(/^run a copy without them: /, "");
  const said = fix.replace("millrace run", "stat -c '%a %n'");
  const made = spawnSync("sh", ["-c", said], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  const [mode, copy = ""] = made.stdout.trimEnd().split(" ");
  t.after(() => rmSync(dirname(copy), { recursive: true }));
  assert.equal(mode, "755");
  assert.notEqual(copy, path);
});

test("scripts: what reads them counts, and whether it is there", () => {
  const script = (name: string, first: string): string => {
    const path = join(folder, name);
    writeFileSync(path, `${first}\necho hello\n`, { mode: 0o755 });
    return path;
  };
  const lost = examine(script("lost", "#!/no/such/interpreter"));
  assert.deepEqual([lost.status, lost.exit], ["fail", 1]);
  assert.match(lost.detail, /lost: its interpreter \/no\/such\/interpreter is not there$/);
  const plain = examine(script("plain.sh", "# no interpreter is named: a shell's"));
  assert.deepEqual([plain.status, plain.detail.startsWith("/bin/sh is dynamically")], ["ok", true]);
  assert.equal(examine(script("short", "")).status, "ok");
  const fixed = examine(script("by-static", `#!${compile("reader", MAIN, "-static")}`));
  assert.match(fixed.detail, /reader is statically linked/);
});

test("what is no program, and a device that is none", () => {
  assert.match(examine(folder).detail, /is a folder/);
  assert.match(examine(join(folder, "nothing")).detail, /not found/);
  assert.match(examine("").detail, /^'': not found/);
  const nic = spawnSync(process.execPath, [MILLRACE, "doctor", "--nic", "bogus:x"], {
    encoding: "utf8",
  });
  assert.equal(nic.status, 1);
  assert.match(nic.stdout, /fail {2}--nic bogus:x: expected a device like tap:tap0, got "bogus:x"/);
});
