/** Loss recovery's and congestion control's part of a row (int32 indices 16 to 63). */
import { TcbRow } from "./tcb-row.js";

export class RecoveryRow extends TcbRow {}
