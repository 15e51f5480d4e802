/** Whole frames, from Ethernet to the innermost format: every gate, then every accessor. */
import { describeFrame } from "../describe-frame.js";
import { describeInPlaces, type Target } from "../target.js";

export const target: Target = {
  name: "frame",
  summary: "Ethernet frames through every wire format",
  maxBytes: 512,
  run: (input) => describeInPlaces(input, describeFrame),
};
