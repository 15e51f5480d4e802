/**
 * What `millrace stat` shows: the engine's lines, and the kernel's sockets of the programs under it. The
 * engine knows why it did not take a socket; the kernel knows which there are, and how they are.
 */
import type { IpAddress } from "../base/ip-address.js";
import type {
  StatEngine,
  StatInterface,
  StatLine,
  StatSession,
  StatSocket,
} from "../engine/stat-message.js";
import { OBSTACLES, Obstacle } from "./inspection.js";
import { type KernelSocket, kernelSockets } from "./kernel-table.js";
import type { ObstacleOf } from "./program-obstacle.js";
import type { ProgramProcess } from "./program-sockets.js";

export interface Snapshot {
  readonly engine: StatEngine | null;
  readonly interfaces: readonly StatInterface[];
  readonly sessions: readonly StatSession[];
  readonly sockets: readonly StatSocket[];
}

const NOT_ASKED =
  "not opened through Millrace's library (inherited, io_uring, system calls), or left by an engine that has ended";
const NO_LIBRARY = "the preload library is not in this program";
const SEE = "(see millrace doctor)";

/** `read` gives a file's contents, or null. */
export function snapshotOf(
  lines: readonly StatLine[],
  processes: readonly ProgramProcess[],
  read: (path: string) => string | null,
  obstacleOf: ObstacleOf,
): Snapshot {
  const of = <K extends StatLine["kind"]>(kind: K) =>
    lines.filter((line): line is StatLine & { kind: K } => line.kind === kind);
  const sessions = of("session");
  const told = of("socket");
  const userOf = users(read);
  const accelerated = told
    .filter((socket) => socket.accelerated)
    .map((socket) => ({ ...socket, uid: userOf(socket.holders[0]?.pid) ?? socket.uid }));
  const kernel = told.filter((socket) => !socket.accelerated);
  const sockets = [...accelerated];
  if (kernel.length > 0 || processes.length > 0) {
    const tables = kernelSockets(read);
    const known = new Map(kernel.map((socket) => [socket.inode, socket]));
    const names = new Map(sessions.map(({ pid, program, session }) => [pid, { program, session }]));
    // What lies beside an accelerated socket is a part of it.
    for (const { inode } of accelerated) tables.delete(inode);
    const open = new Set<number>();
    for (const [inode, holders] of holdersOf(processes)) {
      open.add(inode);
      const socket = tables.get(inode);
      const line = known.get(inode);
      if (socket === undefined && line === undefined) continue;
      if (accelerated.some((one) => one.inode === inode)) continue;
      const one = merged(line, socket, inode, holders, names);
      if (line !== undefined) {
        sockets.push(one);
        continue;
      }
      const came = listenerOf(one, accelerated);
      const reason = came === undefined ? notAsked(holders, obstacleOf) : byKernel(came);
      sockets.push({ ...one, reason });
    }
    const looked = new Set(processes.map(({ pid }) => pid));
    for (const line of kernel) {
      const isClosed = line.holders.every(({ pid }) => looked.has(pid)) && !open.has(line.inode);
      if (!isClosed && !open.has(line.inode)) {
        sockets.push(withKernel(line, tables.get(line.inode)));
      }
    }
  }
  return { engine: of("engine")[0] ?? null, interfaces: of("interface"), sessions, sockets };
}

/** As whom processes run now; the engine knows as whom they joined it. */
function users(read: (path: string) => string | null): (pid?: number) => number | undefined {
  const known = new Map<number, number | undefined>();
  return (pid) => {
    if (pid === undefined) return undefined;
    if (!known.has(pid)) {
      const effective = /^Uid:\s+\d+\s+(\d+)/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
      known.set(pid, effective === undefined ? undefined : Number(effective));
    }
    return known.get(pid);
  };
}

/** The accelerated listener that this connection of the kernel's came to, if there is one. */
const listenerOf = (s: StatSocket, accelerated: readonly StatSocket[]): StatSocket | undefined =>
  accelerated.find(
    (one) => s.protocol === "tcp" && one.state === "LISTEN" && one.localPort === s.localPort,
  );

const byKernel = ({ localPort }: StatSocket): string =>
  `came by the kernel to the listener at port ${localPort}`;

/** Why the engine does not know a socket. */
function notAsked(held: Held, obstacleOf: ObstacleOf): string {
  const obstacle = held.map(({ process }) => obstacleOf(process.pid)).find((one) => one !== 0) ?? 0;
  const [what] = OBSTACLES[obstacle] ?? OBSTACLES[0]!;
  if (held.some(({ process }) => process.hasLibrary)) {
    // Into one that is linked dynamically the library gets, and is not asked.
    return obstacle === Obstacle.GO ? `the program ${what} ${SEE}` : NOT_ASKED;
  }
  return obstacle === Obstacle.NONE
    ? `${NO_LIBRARY} ${SEE}`
    : `${NO_LIBRARY}, which ${what} ${SEE}`;
}

type Held = readonly { readonly process: ProgramProcess; readonly fd: number }[];

function holdersOf(processes: readonly ProgramProcess[]): Map<number, Held> {
  const held = new Map<number, { process: ProgramProcess; fd: number }[]>();
  for (const process of processes) {
    for (const { fd, inode } of process.sockets) {
      const list = held.get(inode) ?? [];
      list.push({ process, fd });
      held.set(inode, list);
    }
  }
  return held;
}

function merged(
  line: StatSocket | undefined,
  socket: KernelSocket | undefined,
  inode: number,
  held: Held,
  names: ReadonlyMap<number, { readonly program: string; readonly session: number }>,
): StatSocket {
  const holders = held.map(({ process, fd }) => {
    const { program, session } = names.get(process.pid) ?? { program: process.name, session: 0 };
    return { session, pid: process.pid, fd, program };
  });
  const base: StatSocket = line ?? {
    kind: "socket",
    protocol: socket!.protocol,
    family: socket!.family,
    state: socket!.state,
    recvQ: 0,
    sendQ: 0,
    localAddress: "",
    localPort: 0,
    remoteAddress: "",
    remotePort: 0,
    uid: socket!.uid,
    holders,
    accelerated: false,
    reason: "",
    inode,
    drops: 0,
    rxBytes: 0,
    txBytes: 0,
  };
  return withKernel({ ...base, holders }, socket);
}

/** What the kernel says of a socket that it has. */
function withKernel(s: StatSocket, kernel: KernelSocket | undefined): StatSocket {
  if (kernel === undefined) return s;
  return {
    ...s,
    state: kernel.state,
    recvQ: kernel.recvQ,
    sendQ: kernel.sendQ,
    localAddress: addressText(kernel.local, kernel),
    localPort: kernel.localPort,
    remoteAddress: addressText(kernel.remote, kernel),
    remotePort: kernel.remotePort,
  };
}

/** The tables do not say whether an IPv6 socket is for IPv4, too: `*`, as of most. */
function addressText(address: IpAddress, { family }: KernelSocket): string {
  if (!address.isUnspecified) return address.toString();
  return family === "IPv4" ? "0.0.0.0" : "*";
}
