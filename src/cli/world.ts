/**
 * What a command sees of the world: its outputs, its input, the environment, and the wish to stop.
 * Commands take it as an argument and return an exit status, so tests run them in process.
 */

/** Exit statuses of all commands (docs/capture.md): done, failed, used wrongly; no room for it, here and now. */
export const DONE = 0;
export const FAILED = 1;
export const USAGE = 2;
export const NO_ROOM = 3;

export interface Output {
  readonly isTerminal: boolean;
  /**
   * Writes and waits until the reader has room. False when there is no reader any more (`| head`):
   * the command then ends quietly.
   */
  write(data: string | Uint8Array): Promise<boolean>;
}

export interface World {
  readonly out: Output;
  readonly err: Output;
  readonly input: AsyncIterable<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the user wants the command to end (Ctrl-C). */
  readonly stop: AbortSignal;
  /** The process outlives its terminal (nohup). */
  readonly ignoresHangUps?: boolean;
}

/** The world of this process. The first Ctrl-C asks for the end, the second one ends. */
export function processWorld(ignoresHangUps = false): World {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  if (ignoresHangUps) process.on("SIGHUP", () => {});
  return {
    out: outputTo(process.stdout),
    err: outputTo(process.stderr),
    input: process.stdin as AsyncIterable<Uint8Array>,
    env: process.env,
    stop: stop.signal,
    ignoresHangUps,
  };
}

function outputTo(stream: NodeJS.WriteStream): Output {
  let isBroken = false;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Without a reader the command ends quietly; what could not be kept is an error.
    if (!isBroken && error.code !== "EPIPE" && stream === process.stdout) {
      console.error(`millrace: ${systemText(error, "standard output")}`);
      process.once("exit", () => {
        process.exitCode = FAILED;
      });
    }
    isBroken = true;
  });
  return {
    isTerminal: stream.isTTY === true,
    write(data) {
      if (isBroken) return Promise.resolve(false);
      return new Promise((resolve) => {
        stream.write(data, (error) => resolve(error === undefined || error === null));
      });
    },
  };
}

/** Whether to use colours: only for people, and not for those who said no (no-color.org). */
export function wantsColour(world: World): boolean {
  return world.out.isTerminal && (world.env.NO_COLOR ?? "") === "" && world.env.TERM !== "dumb";
}

/** Whether an error came from the system, like ENOENT, and so is the user's to put right. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

const OF_ROOM: readonly string[] = "ENOMEM EMFILE ENFILE ENOSPC EDQUOT EFBIG ENOBUFS".split(" ");

/** {@link NO_ROOM} when memory, descriptors or room in a file system were missing, {@link FAILED} for anything else. */
export function statusOf(error: unknown): number {
  const { code = "" } = error as { readonly code?: string };
  return OF_ROOM.includes(code) ? NO_ROOM : FAILED;
}

/**
 * What a system error says, as a sentence: `none.json: no such file or directory`. `name`: what was read or written,
 * where the error does not say.
 */
export function systemText(error: NodeJS.ErrnoException, name?: string): string {
  const { message, path = name } = error;
  // As Node.js words it: `ENOENT: no such file or directory, open 'none.json'`.
  let words = /^E[A-Z0-9]+: (.*?)(?:, \w+(?: '.*')?)?$/s.exec(message)?.[1];
  if (error.code === "EISDIR") words = "is a directory";
  return path === undefined || words === undefined ? message : `${path}: ${words}`;
}
