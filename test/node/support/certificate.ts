/** A certificate of our own for 127.0.0.1 and localhost, made by openssl. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The folder of `key.pem` and `cert.pem`; it is gone when the process ends. */
export function certificateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-certificate-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"].concat(
      ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem"), "-days", "2"],
      ["-subj", "/CN=localhost", "-addext", names],
    ),
    { stdio: "ignore" },
  );
  return folder;
}
