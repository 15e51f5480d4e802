/**
 * The program for an interface that Millrace owns: every frame goes to the AF_XDP socket of its
 * receive queue, and to the kernel where there is none.
 */
import { Assembler } from "../ebpf/asm.js";
import type { AssembledProgram } from "../ebpf/assembled-program.js";
import { R1, R2, R3, R6 } from "../ebpf/registers.js";
import { RX_QUEUE_INDEX_AT, SOCKETS_MAP, XdpVerdict } from "./xdp-context.js";
import { emitRxMetadata, type MetadataFunctions } from "./xdp-rx-metadata.js";

/** With `metadata` it leaves what the NIC knows of the frame in front of it. */
export function redirectAllProgram(metadata: MetadataFunctions | null = null): AssembledProgram {
  const a = new Assembler();
  if (metadata !== null) {
    a.mov(R6, R1);
    emitRxMetadata(a, metadata);
    a.mov(R1, R6);
  }
  a.load("u32", R2, R1, RX_QUEUE_INDEX_AT);
  a.loadMap(R1, SOCKETS_MAP);
  a.mov(R3, XdpVerdict.PASS); // what is returned for a queue without a socket (Linux 5.3 on)
  a.call("redirect_map");
  a.exit();
  return a.assemble();
}
