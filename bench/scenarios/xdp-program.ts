/**
 * An XDP program in front of an AF_XDP device, which drops what a C program sends over a veth; beside the
 * kernel, in whose generic mode the same object does the same. Needs root.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileExample } from "../../test/support/xdp-objects.js";
import type { Contestant, Scenario } from "../scenario.js";
import { BYTES, caseFile, MODE, Place, STREAM_MS } from "./xdp.js";

export const xdpProgram: Scenario = {
  name: "xdp-program",
  summary: "frames of 64 bytes that an access list (XDP) in front of AF_XDP drops, on a veth",
  metric: "msgs_per_s",
  smallerIsBetter: false,
  rounds: 5,
  prepare: async () => {
    const place = await Place.make();
    const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
    const object = join(folder, "acl.o");
    writeFileSync(object, compileExample("acl", "v3"));
    const mac = place.farMac();
    const drop =
      (engine: string): Contestant =>
      () =>
        place.stream(
          [process.execPath, caseFile("xdp-program"), engine, "veth0", object, `${STREAM_MS}`],
          [place.bare, "send", "veth0", MODE, mac, `${BYTES}`],
        );
    return {
      millrace: drop("wasm"),
      baselines: { traces: drop("trace"), interpreter: drop("interp"), kernel: drop("kernel") },
      cleanUp: async () => {
        rmSync(folder, { recursive: true });
        await place.cleanUp();
      },
    };
  },
};
