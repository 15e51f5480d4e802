/**
 * A real browser for tests of pages: Chromium without a window, driven over the DevTools protocol through a
 * pipe (no port, no WebSocket). https://chromedevtools.github.io/devtools-protocol/
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { isGroupAlive } from "./process-state.js";
import { requireTools } from "./tools.js";

const LIMIT_MS = 60_000;
const POLL_MS = 50;

type Parameters = Readonly<Record<string, unknown>>;
// biome-ignore lint/suspicious/noExplicitAny: what the protocol returns has a shape for each call.
type Result = any;

interface Waiting {
  resolve(result: Result): void;
  reject(error: Error): void;
}

/** One page of a browser of its own. */
export class Chromium {
  private readonly process: ChildProcess;
  private readonly folder: string;
  private readonly input: Writable;
  private readonly waiting = new Map<number, Waiting>();
  private session = "";
  private nextId = 1;
  private rest = "";
  /** What went wrong in the page: exceptions, and errors on its console. */
  readonly complaints: string[] = [];

  private constructor(process: ChildProcess, folder: string) {
    this.process = process;
    this.folder = folder;
    this.input = process.stdio[3] as Writable;
    const output = process.stdio[4] as Readable;
    output.setEncoding("utf8");
    output.on("data", (text: string) => this.read(text));
    // The browser goes away while we still write: whoever waits is told by its exit.
    this.input.on("error", () => {});
    process.once("exit", () => {
      for (const { reject } of this.waiting.values()) reject(new Error("the browser ended"));
      this.waiting.clear();
    });
  }

  static async open(width: number, height: number): Promise<Chromium> {
    requireTools("chromium");
    const folder = mkdtempSync(join(tmpdir(), "millrace-chromium-"));
    const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
    args.push("--remote-debugging-pipe", `--user-data-dir=${folder}`, "--no-first-run");
    args.push("--disable-background-networking", "--disable-component-update", "about:blank");
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"] as const;
    // A process group of its own: its helpers, too, end with it.
    const child = spawn("chromium", args, { stdio: [...stdio], detached: true });
    const browser = new Chromium(child, folder);
    const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
    const attached = await browser.send("Target.attachToTarget", { targetId, flatten: true });
    browser.session = attached.sessionId;
    for (const domain of ["Page", "Runtime", "Log"]) await browser.send(`${domain}.enable`);
    await browser.resize(width, height);
    return browser;
  }

  private read(text: string): void {
    const parts = (this.rest + text).split("\0");
    this.rest = parts.pop()!;
    for (const part of parts) this.take(JSON.parse(part) as Result);
  }

  private take(message: Result): void {
    const { id, method, params } = message;
    if (method === "Runtime.exceptionThrown") {
      const { text, exception } = params.exceptionDetails;
      this.complaints.push(exception?.description ?? text);
    }
    if (method === "Log.entryAdded" && params.entry.level === "error") {
      this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
    }
    const waiting = this.waiting.get(id);
    if (waiting === undefined) return;
    this.waiting.delete(id);
    if (message.error === undefined) waiting.resolve(message.result);
    else waiting.reject(new Error(message.error.message));
  }

  send(method: string, params: Parameters = {}): Promise<Result> {
    const id = this.nextId++;
    const sessionId = this.session === "" ? {} : { sessionId: this.session };
    this.input.write(`${JSON.stringify({ id, method, params, ...sessionId })}\0`);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  async resize(width: number, height: number): Promise<void> {
    const size = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.send("Emulation.setDeviceMetricsOverride", size);
    await this.send("Emulation.setScrollbarsHidden", { hidden: true });
  }

  async scheme(value: "light" | "dark"): Promise<void> {
    const features = [{ name: "prefers-color-scheme", value }];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  async goTo(url: string): Promise<void> {
    await this.send("Page.navigate", { url });
  }

  /** The value of an expression in the page. */
  async value<T>(expression: string): Promise<T> {
    const about = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", about);
    if (exceptionDetails !== undefined) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value as T;
  }

  /** Waits until an expression of the page is true. */
  async until(expression: string): Promise<void> {
    const end = Date.now() + LIMIT_MS;
    while (!(await this.value<boolean>(`Boolean(${expression})`))) {
      assert.ok(Date.now() < end, `${expression} never came true; ${this.complaints.join("; ")}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async click(selector: string): Promise<void> {
    await this.value(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }

  /** Presses a key as a user does, where the focus is. */
  async press(key: string, text = ""): Promise<void> {
    const about = { key, code: key, text, windowsVirtualKeyCode: KEYS[key] ?? 0 };
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...about });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...about });
  }

  /** Chooses files in a file picker. */
  async choose(selector: string, ...files: string[]): Promise<void> {
    const { root } = await this.send("DOM.getDocument");
    const { nodeId } = await this.send("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.send("DOM.setFileInputFiles", { nodeId, files });
  }

  /** A picture of the whole page, or of what is seen. */
  async picture(file: string, isWhole = true): Promise<void> {
    const about = { format: "png", captureBeyondViewport: isWhole };
    const { data } = await this.send("Page.captureScreenshot", about);
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  async close(): Promise<void> {
    const { process } = this;
    const hasEnded = process.exitCode !== null || process.signalCode !== null;
    const ended = hasEnded ? Promise.resolve([]) : once(process, "exit");
    killGroup(process.pid!);
    await ended;
    // The helpers write into the folder until they are gone; they outlive the browser by some milliseconds.
    const end = Date.now() + LIMIT_MS;
    while (killGroup(process.pid!)) {
      assert.ok(Date.now() < end, `helpers of Chromium ${process.pid} do not end`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** Kills a process group; false when nothing of it runs any more. */
function killGroup(group: number): boolean {
  try {
    return process.kill(-group, "SIGKILL") && isGroupAlive(group);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

const KEYS: Readonly<Record<string, number>> = { Tab: 9, Enter: 13, ArrowDown: 40, ArrowUp: 38 };
