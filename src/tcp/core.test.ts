/** How the table of rows grows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../base/random.js";
import { TcpCore } from "./core.js";
import { DEFAULT_TCP_SETTINGS } from "./settings.js";
import type { Slots } from "./slots.js";
import type { TcpHost } from "./tcp-host.js";

test("where there is no address space for rows in reserve there are those that are needed", () => {
  const most = 2 ** 40; // more than any machine has room for
  const core = new TcpCore({
    slots: {} as Slots,
    host: {} as TcpHost,
    random: new Random(1),
    secret: new Uint8Array(16),
    capacityRows: most,
    reservedRows: most,
    settings: DEFAULT_TCP_SETTINGS,
  });
  assert.equal(core.rows, 64);
  core.c.select(63).state = 5;
  core.grow(100);
  assert.equal(core.rows, 100);
  assert.equal(core.c.select(63).state, 5);
  assert.equal(core.freeRow, 64);
});
