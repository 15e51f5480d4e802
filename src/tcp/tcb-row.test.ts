/** No two fields of a row share a word, but those of a listener that a connection uses otherwise. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOSS_INT32S } from "./loss-rows.js";
import { Tcb } from "./tcb.js";
import { ROW_INT32S } from "./tcb-row.js";

/** Fields that a row has in LISTEN only, and whose place they have. */
const ALIASES: Record<string, string> = {
  acceptHead: "sndHead",
  acceptTail: "sndTail",
  acceptCount: "sndCursor",
  synHead: "oooHead",
  synCount: "oooSlots",
  backlog: "rtxCursor",
};
const VALUE = 0x12345678;

function fields(): string[] {
  const names: string[] = [];
  for (let p = Tcb.prototype as object; p !== Object.prototype; p = Object.getPrototypeOf(p)) {
    for (const [name, d] of Object.entries(Object.getOwnPropertyDescriptors(p))) {
      if (d.set !== undefined) names.push(name);
    }
  }
  return names;
}

/** The middle one of three rows, and a loss row for it: the words that writing a field changes. */
function wordsOf(name: string): string[] {
  const buffer = new ArrayBuffer(3 * ROW_INT32S * 4);
  const c = new Tcb(new Int32Array(buffer), new Float64Array(buffer)).select(1) as Tcb;
  c.totalRetrans = 1; // takes the loss row
  c.totalRetrans = 0;
  const row = c.i.slice();
  const loss = c.loss.words.slice();
  const field = c as unknown as Record<string, number>;
  for (const v of [-7, 1, VALUE]) {
    field[name] = v;
    assert.equal(field[name], v, `${name} reads back`);
  }
  const words: string[] = [];
  for (let w = 0; w < row.length; w++) if (c.i[w] !== row[w]) words.push(`${w - ROW_INT32S}`);
  for (let w = 0; w < loss.length; w++) {
    if (c.loss.words[w] !== loss[w]) words.push(`loss ${w - LOSS_INT32S}`);
  }
  return words;
}

test("every field has words of its own, in its row", () => {
  const names = fields();
  assert.ok(names.length > 140, `${names.length} fields`);
  const owners = new Map<string, string>();
  for (const name of names) {
    const words = wordsOf(name);
    assert.ok(words.length === 1 || words.length === 2, `${name} has ${words}`);
    for (const word of words) {
      const index = Number(word.replace("loss ", ""));
      const limit = word.startsWith("loss") ? LOSS_INT32S : ROW_INT32S;
      assert.ok(index >= 0 && index < limit, `${name} lies at ${word}`);
      const owner = owners.get(word);
      const mayShare = owner === undefined || ALIASES[name] === owner || ALIASES[owner] === name;
      assert.ok(mayShare, `${name} and ${owner} share word ${word}`);
      owners.set(word, name);
    }
  }
});
