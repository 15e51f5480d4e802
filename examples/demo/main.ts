/** `npm run demo`: the same work through Millrace and through the kernel, in a table. */
import { kernelContestant } from "./kernel.js";
import { formatTable } from "./table.js";
import { measure } from "./work.js";

console.log(formatTable([await measure(kernelContestant())]));
