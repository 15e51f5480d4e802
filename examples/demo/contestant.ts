/**
 * One contestant in a process of its own, so that none profits or suffers from what another left
 * behind: `contestant NAME [quick]` prints its result as JSON, or why it cannot take part.
 */
import { NetError } from "../../src/index.js";
import { kernelContestant } from "./kernel.js";
import { memifContestant, tapContestant } from "./millrace.js";
import { type Contestant, FULL, measure, QUICK } from "./work.js";

const [name, plan] = process.argv.slice(2);
const open = {
  kernel: kernelContestant,
  memif: memifContestant,
  tap: tapContestant,
}[name as string];
if (open === undefined) throw new TypeError(`there is no contestant ${name}`);

const contestant = await tryOpen(open);
if (contestant !== null) {
  console.log(JSON.stringify(await measure(contestant, plan === "quick" ? QUICK : FULL)));
}
process.exit();

async function tryOpen(make: () => Promise<Contestant>): Promise<Contestant | null> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    console.log(JSON.stringify({ leftOut: error.message }));
    return null;
  }
}
