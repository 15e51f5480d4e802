/** Configuration files: read as JSON.parse reads them where both do, and no mistake without a place. */
import { PlacedError } from "../../src/base/placed-error.js";
import { parseConfig } from "../../src/engine/config.js";
import type { Target } from "../target.js";

export const target: Target = {
  name: "config",
  summary: "configuration files of the engine",
  maxBytes: 1024,
  run(input) {
    const text = Buffer.from(input).toString("latin1");
    try {
      const config = parseConfig(text, "/f");
      return Object.keys(config).join() + config.nics.length;
    } catch (error) {
      if (!(error instanceof PlacedError)) throw error;
      const lines = text.split("\n");
      for (const { line, column } of error.problems) {
        if (column < 1 || column > (lines[line - 1]?.length ?? -1) + 1)
          throw new Error(`no such place ${line}:${column}`);
      }
      return error.problems[0]!.text.replace(/;.*/s, "").replaceAll(/[0-9]+/g, "");
    }
  },
};
