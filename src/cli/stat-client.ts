/** Asks a running engine what it has: the other side of engine/stat-message.ts. */
import { createConnection } from "node:net";
import type { StatLine, StatRequest } from "../engine/stat-message.js";

/** No answer within this: the engine stands still. */
const ANSWER_MS = 5000;
/** The last two: it ends just now. */
const NOBODY: readonly string[] = ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"];

/** Its lines, or null when there is no engine. Throws the system's errors, and what makes no sense. */
export async function askEngine(
  path: string,
  request: StatRequest,
): Promise<readonly StatLine[] | null> {
  try {
    return (await exchange(path, `${JSON.stringify(request)}\n`))
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as StatLine);
  } catch (error) {
    if (NOBODY.includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}

function exchange(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = createConnection(path, () => socket.write(request));
    socket.setTimeout(ANSWER_MS, () =>
      socket.destroy(new Error(`the engine at ${path} does not answer`)),
    );
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("end", () => resolve(Buffer.concat(chunks).toString()));
  });
}
