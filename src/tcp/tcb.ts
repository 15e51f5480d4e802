/** A whole connection: see tcb-row.ts for how rows work. The TCP engine adds its fields here. */
import { RecoveryRow } from "./recovery-row.js";

export class Tcb extends RecoveryRow {}
