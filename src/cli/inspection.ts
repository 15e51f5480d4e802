/** What the launcher finds in a program's file: whether Millrace's library can get into it. */
import type { Machine } from "./machine.js";

/** What `millrace-run run --inspect COMMAND` prints, native/launcher/program.c. */
export interface Inspection {
  readonly path: string;
  readonly error: number;
  readonly interpreter: string;
  readonly loader: string;
  readonly obstacle: number;
}

/** Of `enum obstacle` in launcher.h. */
export const Obstacle = {
  NONE: 0,
  STATIC: 1,
  GO: 2,
  PRIVILEGED: 3,
  OTHER_MACHINE: 4,
  OTHER_LIBC: 5,
} as const;

/** By {@link Obstacle}: what is in the way, and what helps. */
export const OBSTACLES: readonly (readonly [detail: string, fix: string])[] = [
  ["", ""],
  [
    "is statically linked, so nothing can be preloaded",
    "link it dynamically with glibc (without -static)",
  ],
  [
    "is a Go program: its runtime asks the kernel without libc",
    "use a program in another language",
  ],
  [
    "has a set-user-id or set-group-id bit or file capabilities, so the loader ignores preloads",
    "run a copy without them: d=$(mktemp -d) && cp PROGRAM $d && millrace run $d/NAME",
  ],
  [
    "is for another kind of processor than Millrace's library",
    "use a program, or a Millrace, built for this processor",
  ],
  ["uses another C library than glibc", "use a build for glibc (Debian, Fedora, …)"],
];

type Launches = Pick<Machine, "root" | "exists" | "output">;

/** `command` is looked for as a shell does. Null: there is no launcher. */
export function inspect(m: Launches, command: string): Inspection | null {
  const text = m.output(launcherPath(m), ["run", "--inspect", "--", command]);
  if (text === null) return null;
  const found = new Map(
    text.split("\n").map((line) => line.split(/ (.*)/s, 2) as [string, string]),
  );
  const get = (name: string): string => found.get(name) ?? "";
  return {
    path: get("path"),
    error: Number(get("error")),
    interpreter: get("interpreter"),
    loader: get("loader"),
    obstacle: Number(get("obstacle")),
  };
}

/** The launcher that was built here, or the prebuilt one of a package. */
function launcherPath(m: Launches): string {
  const built = `${m.root}native/build/millrace-run`;
  return m.exists(built) ? built : `${m.root}prebuilds/linux-${process.arch}/millrace-run`;
}
