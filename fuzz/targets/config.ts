/** Configuration files: read as JSON.parse reads them where both do, and no mistake without a place. */
import { PlacedError } from "../../src/base/placed-error.js";
import { parseConfig } from "../../src/engine/config.js";
import { mustBeInside, type Target } from "../target.js";

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
      mustBeInside(text, error.problems);
      return error.problems[0]!.text.replace(/;.*/s, "").replaceAll(/[0-9]+/g, "");
    }
  },
};
