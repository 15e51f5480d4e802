/** Files of acceleration rules: a mistake is told with its place, what is read can be asked. */
import { IpAddress } from "../../src/base/ip-address.js";
import { ProgramRules, ROLES } from "../../src/socket/rules.js";
import { parseRules, RulesError } from "../../src/socket/rules-parser.js";
import { mustBeInside, type Target } from "../target.js";

const PLACES = ["10.0.0.1", "::", "fd00::1"].map((text) => ({
  address: IpAddress.parse(text),
  port: 80,
}));

export const target: Target = {
  name: "rules",
  summary: "acceleration rules: parsed, then asked",
  maxBytes: 1024,
  run(input) {
    const text = Buffer.from(input).toString("latin1");
    try {
      const rules = parseRules(text, "f");
      const asked = new ProgramRules(rules, "nc", "B1");
      const answers = ROLES.flatMap((role) =>
        PLACES.map((place) => asked.decide(role, place, place).accelerate),
      );
      for (const { first, second } of rules) {
        for (const match of second === null ? [first] : [first, second]) {
          const isRange = match.firstPort <= match.lastPort && match.lastPort <= 65_535;
          if (!isRange || match.prefixBits < 0 || match.prefixBits > 128)
            throw new Error(`impossible match ${JSON.stringify(match)}`);
        }
      }
      return `${Math.min(rules.length, 5)} ${answers.map(Number).join("")}`;
    } catch (error) {
      if (!(error instanceof RulesError)) throw error;
      mustBeInside(text, error.problems, 2);
      return error.problems[0]!.text.replace(/[;(].*/s, "");
    }
  },
};
