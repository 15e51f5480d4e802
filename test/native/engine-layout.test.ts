/** The engine's layout in TypeScript is the shim's in C: what a C compiler makes of layout.h decides. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as layout from "../../src/ring/engine-layout.js";

const HEADER = new URL("../../../native/shim/layout.h", import.meta.url).pathname;

const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** Structures: C name, where their fields are, and their size. */
const STRUCTS: readonly (readonly [string, Readonly<Record<string, number>>, number])[] = [
  ["mr_session", layout.SessionAt, layout.SESSION_HEADER_BYTES],
  ["mr_waiter", layout.WaiterAt, layout.WAITER_BYTES],
  ["mr_entry", layout.EntryAt, layout.ENTRY_BYTES],
  ["mr_call", layout.CallAt, layout.CALL_BYTES],
  ["mr_region", layout.RegionAt, layout.REGION_HEADER_BYTES],
  ["mr_address", layout.AddressAt, layout.ADDRESS_BYTES],
  ["mr_socket", layout.SocketAt, layout.SOCKET_BYTES],
  ["mr_datagram", layout.DatagramAt, layout.DATAGRAM_BYTES],
  ["mr_accepted", layout.AcceptedAt, layout.ACCEPTED_BYTES],
  ["mr_interface", layout.InterfaceAt, layout.INTERFACE_BYTES],
  ["mr_error", layout.ErrorAt, layout.ERROR_BYTES],
  ["mr_hello", layout.HelloAt, layout.HELLO_BYTES],
  ["mr_welcome", layout.WelcomeAt, layout.WELCOME_BYTES],
  ["mr_open", layout.OpenAt, layout.OPEN_BYTES],
  ["mr_option", layout.OptionAt, layout.OPTION_BYTES],
  ["mr_opened", layout.OpenedAt, layout.OPENED_BYTES],
  ["mr_accepted_as", layout.AcceptedAsAt, layout.ACCEPTED_AS_BYTES],
  ["mr_attach", layout.AttachAt, layout.ATTACH_BYTES],
  ["mr_waiter_fd", layout.WaiterFdAt, layout.WAITER_FD_BYTES],
  ["mr_region_wanted", layout.RegionWantedAt, layout.REGION_WANTED_BYTES],
];

/** Groups of constants and the prefix of their C names. */
const GROUPS: readonly (readonly [string, Readonly<Record<string, number>>])[] = [
  ["MR_SESSION_", layout.SessionFlag],
  ["MR_WAITER_", layout.WaiterState],
  ["MR_CALL_", layout.CallState],
  ["MR_SUBMIT_", layout.Submit],
  ["MR_KIND_", layout.Kind],
  ["MR_STATUS_", layout.Status],
  ["MR_CONNECT_", layout.ConnectState],
  ["MR_DATAGRAM_", layout.DatagramFlag],
  ["MR_REPORT_", layout.Report],
  ["MR_OP_", layout.Op],
  ["MR_MSG_", layout.Msg],
  ["MR_AT_", layout.OpenedFor],
];

const CONSTANTS: Readonly<Record<string, number>> = {
  MR_VERSION: layout.LAYOUT_VERSION,
  MR_MAGIC: layout.LAYOUT_MAGIC,
  MR_WAITERS: layout.WAITERS,
  MR_CALLS: layout.CALLS,
  MR_SOCKETS: layout.SOCKETS,
  MR_SUBMITS: layout.SUBMITS,
  MR_HINTS: layout.HINTS,
  MR_WAITERS_AT: layout.WAITERS_AT,
  MR_ENTRIES_AT: layout.ENTRIES_AT,
  MR_SUBMITS_AT: layout.SUBMITS_AT,
  MR_HINTS_AT: layout.HINTS_AT,
  MR_CALLS_AT: layout.CALLS_AT,
  MR_SESSION_BYTES: layout.SESSION_BYTES,
  MR_MESSAGE_BYTES: layout.MESSAGE_BYTES,
  "sizeof(((struct mr_call *)0)->data)": layout.CALL_DATA_BYTES,
  "sizeof(((struct mr_hello *)0)->program)": layout.PROGRAM_CHARS,
  "sizeof(((struct mr_hello *)0)->rules)": layout.RULES_CHARS,
  "sizeof(((struct mr_hello *)0)->profile)": layout.PROFILE_CHARS,
  "sizeof(((struct mr_opened *)0)->reason)": layout.REASON_CHARS,
};

/** C expressions and what they should be. */
function expectations(): Map<string, number> {
  const expected = new Map(Object.entries(CONSTANTS));
  for (const [name, places, bytes] of STRUCTS) {
    expected.set(`sizeof(struct ${name})`, bytes);
    for (const [field, at] of Object.entries(places)) {
      const cField = field === "errno" ? "errno_" : snake(field);
      expected.set(`offsetof(struct ${name}, ${cField})`, at);
    }
  }
  for (const [prefix, group] of GROUPS) {
    for (const [name, value] of Object.entries(group)) expected.set(prefix + name, value);
  }
  return expected;
}

test("places, sizes and constants are those of layout.h", () => {
  const expected = expectations();
  const folder = mkdtempSync(join(tmpdir(), "millrace-layout-"));
  try {
    const lines = [...expected.keys()].map((e) => `  printf("%lld\\n", (long long)(${e}));`);
    const source = `#include <stddef.h>\n#include <stdio.h>\n#include "${HEADER}"\nint main(void) {\n${lines.join("\n")}\n}\n`;
    writeFileSync(join(folder, "layout.c"), source);
    const built = spawnSync("cc", ["-o", join(folder, "layout"), join(folder, "layout.c")], {
      encoding: "utf8",
    });
    assert.equal(built.status, 0, built.stderr);
    const out = spawnSync(join(folder, "layout"), { encoding: "utf8" }).stdout.trim().split("\n");
    for (const [i, [expression, value]] of [...expected].entries()) {
      assert.equal(Number(out[i]), value, expression);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("no constant group of layout.h is missing a member here", () => {
  const header = readFileSync(HEADER, "utf8");
  for (const [prefix, group] of GROUPS) {
    const inHeader = new Set(
      [...header.matchAll(new RegExp(`^\\s*(?:#define )?(${prefix}[A-Z0-9_]+)\\b[ =]`, "gm"))].map(
        (m) => m[1]!,
      ),
    );
    // MR_SESSION_BYTES is no flag.
    inHeader.delete("MR_SESSION_BYTES");
    inHeader.delete("MR_CALLS");
    const here = Object.keys(group).map((name) => prefix + name);
    assert.deepEqual([...inHeader].sort(), here.sort(), prefix);
  }
});
