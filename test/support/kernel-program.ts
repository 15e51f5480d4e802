/** A program with sockets of the kernel, in this namespace or another: `kernel-sockets.ts`. */
import { fileURLToPath } from "node:url";
import { type Background, background, type Namespace } from "./namespace.js";

const SCRIPT = fileURLToPath(new URL("./kernel-sockets.js", import.meta.url));

export class KernelProgram {
  private readonly program: Background;
  private calls = 0;

  private constructor(program: Background) {
    this.program = program;
  }

  /** Starts one; null: in this namespace. */
  static async start(namespace: Namespace | null): Promise<KernelProgram> {
    const args = [process.execPath, SCRIPT] as const;
    const program = namespace === null ? background(...args) : namespace.background(...args);
    await program.waitFor(/^0 ready$/m);
    return new KernelProgram(program);
  }

  /** What a call of `kernel-sockets.ts` gives. */
  async call(line: string, timeoutMs = 30_000): Promise<string> {
    return await this.begin(line)(timeoutMs);
  }

  /** Starts a call; what it returns waits for the answer. */
  begin(line: string): (timeoutMs?: number) => Promise<string> {
    this.calls++;
    const number = this.calls;
    this.program.write(`${number} ${line}\n`);
    return async (timeoutMs = 30_000) => {
      const answer = new RegExp(`^${number} (.*)$`, "m");
      await this.program.waitFor(answer, timeoutMs);
      return answer.exec(this.program.output)![1]!;
    };
  }

  stop(): Promise<number | null> {
    return this.program.stop("SIGKILL");
  }
}
