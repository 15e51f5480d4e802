/**
 * One contestant in a process of its own, so that none profits or suffers from what another left
 * behind: `contestant NAME [quick]` prints its result as JSON, or why it cannot take part.
 */
import { NetError } from "../../src/index.js";
import { kernelContestant } from "./kernel.js";
import { simContestant, tapContestant } from "./millrace.js";
import { type Contestant, FULL, measure, QUICK } from "./work.js";

const [name, plan] = process.argv.slice(2);
const open = {
  kernel: kernelContestant,
  sim: simContestant,
  tap: tapContestant,
}[name as string];
if (open === undefined) throw new TypeError(`there is no contestant ${name}`);

const contestant = tryOpen(open);
if (contestant !== null) {
  console.log(JSON.stringify(await measure(contestant, plan === "quick" ? QUICK : FULL)));
}
process.exit();

function tryOpen(make: () => Contestant): Contestant | null {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    console.log(JSON.stringify({ leftOut: error.message }));
    return null;
  }
}
