/** The committed inputs of the fuzzer go through their targets; crashes that were fixed are here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadCorpus, loadTargets } from "../../fuzz/corpus.js";

for (const target of await loadTargets()) {
  test(`${target.name}: every input of the corpus, and every beginning of it, is handled`, () => {
    const corpus = loadCorpus(target);
    assert.ok(corpus.length > 0);
    for (const { file, input } of corpus) {
      const step = Math.max(1, Math.floor(input.length / 100));
      for (let end = input.length; end >= 0; end -= step) {
        assert.doesNotThrow(() => target.run(input.slice(0, end)), `${file}, first ${end} bytes`);
      }
    }
  });
}
