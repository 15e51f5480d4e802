/** The engine's clock: the machine's, in whole microseconds. */
export { monotonicUs as nowUs } from "../nic/clock.js";
