/** IGMP messages of all versions. */
import { describeIgmp } from "../describe-frame.js";
import { describeInPlaces, type Target } from "../target.js";

export const target: Target = {
  name: "igmp",
  summary: "IGMP queries, reports and leaves",
  maxBytes: 256,
  run: (input) => describeInPlaces(input, describeIgmp),
};
