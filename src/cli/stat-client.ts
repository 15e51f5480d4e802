/** Asks a running engine what it has: the other side of engine/stat-message.ts. */
import { createConnection } from "node:net";
import { dirname } from "node:path";
import { EACCES, EIO, ETIMEDOUT } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { enginePaths } from "../engine/socket-path.js";
import type { StatLine, StatRequest } from "../engine/stat-message.js";

/** No answer within this: the engine stands still. */
const ANSWER_MS = 5000;
/** The last two: it ends just now. */
const NOBODY: readonly string[] = ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"];

const FORBIDDEN: readonly string[] = ["EACCES", "EPERM"];

/** Its lines, or null when there is no engine. Throws `NetError` when it cannot be asked. */
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
    if (error instanceof NetError) throw error;
    const { code = "", message, errno } = error as NodeJS.ErrnoException;
    if (NOBODY.includes(code)) return null;
    const [why, hint] = FORBIDDEN.includes(code)
      ? [EACCES, `${dirname(path)} is another user's, who has an engine of his own; ${mend()}`]
      : [errno ?? EIO, code === "" ? message : `the engine at ${path}`];
    throw new NetError(why, { syscall: "connect", hint, cause: error });
  }
}

/** How this user comes to his own engine. */
function mend(): string {
  const { MILLRACE_ENGINE: named = "", XDG_RUNTIME_DIR } = process.env;
  // The launcher always names one.
  if (named !== "" && named !== enginePaths().control) return "unset MILLRACE_ENGINE";
  return XDG_RUNTIME_DIR === undefined
    ? "remove it"
    : "unset XDG_RUNTIME_DIR (su and sudo keep it)";
}

function exchange(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = createConnection(path, () => socket.write(request));
    socket.setTimeout(ANSWER_MS, () =>
      socket.destroy(
        new NetError(ETIMEDOUT, {
          hint: `the engine at ${path} does not answer; is it stopped (kill -CONT)?`,
        }),
      ),
    );
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("end", () => resolve(Buffer.concat(chunks).toString()));
  });
}
