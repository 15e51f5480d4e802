/**
 * What happened to each party of a case, in its own order: two parties run side by side, and which of
 * them is first is nobody's promise. Printed when the process ends.
 */
/** Where a case's sockets are: an address of both the kernel's and Millrace's, or of Millrace's alone. */
export const HERE: string = process.env.CASE_ADDRESS ?? "127.0.0.1";
export const HERE6: string = process.env.CASE_ADDRESS6 ?? "::1";

const lines = new Map<string, string[]>();

/** Records that something happened to `party`. */
export function trace(party: string, ...what: unknown[]): void {
  const said = what.map((w) => (typeof w === "string" ? w : JSON.stringify(w))).join(" ");
  const known = lines.get(party);
  if (known === undefined) lines.set(party, [said]);
  else known.push(said);
}

/** What an error says that programs look at, ports left out: those differ. */
export function errorText(error: unknown): string {
  const e = error as NodeJS.ErrnoException & { address?: string };
  const message = e.message.replace(/:\d{4,5}\b/g, ":PORT").replace(/\(PORT \d+\)/, "");
  return `${e.name} ${e.code} ${e.errno} ${e.syscall} ${e.address} ${message}`;
}

process.on("exit", () => {
  const sorted = [...lines].sort(([a], [b]) => (a < b ? -1 : 1));
  const text = sorted.flatMap(([party, all]) => all.map((line) => `${party}: ${line}\n`)).join("");
  // At once: of some hundred writes, the last would find the pipe full, and nobody waits for them any more.
  process.stdout.write(text.replaceAll(HERE, "HERE").replaceAll(HERE6, "HERE6"));
});
