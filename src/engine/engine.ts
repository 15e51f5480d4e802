/**
 * The engine: serves the sockets of programs (docs/engine-protocol.md) from one stack. It is polled;
 * `EngineLoop` (engine-loop.ts) drives it, and knows how to sleep.
 *
 * A turn takes what programs have submitted, lets the stack work, and moves what it has received to
 * the programs: a datagram between two programs takes one turn.
 */
import { NEVER } from "../base/time.js";
import type { Home } from "../ip/home.js";
import { OpenedFor } from "../ring/engine-layout.js";
import type { PolledSocket } from "../socket/polled-socket.js";
import { ReadyEvents, ReadySet, WatchMode } from "../socket/ready-set.js";
import type { Stack } from "../socket/stack.js";
import { realTimeAheadUs } from "../sys/clock.js";
import { closeFd, eventLoopFd } from "../sys/fd.js";
import { listenUnix, removeStaleSocket } from "../sys/unix-socket.js";
import { Readiness } from "../tcp/readiness.js";
import { serveAccepted } from "./accepted.js";
import { Calls } from "./calls.js";
import { Cleaning } from "./cleaning.js";
import type { Profile } from "./config.js";
import { BACKLOG, Control } from "./control.js";
import type { OwnRules } from "./decision.js";
import { DescriptorRoom } from "./descriptor-room.js";
import { lockEngine } from "./engine-lock.js";
import type { EngineOptions } from "./engine-options.js";
import type { EngineSocket } from "./engine-socket.js";
import { Housekeeping } from "./housekeeping.js";
import { KernelSockets } from "./kernel-sockets.js";
import { Launched } from "./launched.js";
import {
  Companion,
  type Hello,
  isEntry,
  NotOpened,
  type OpenRequest,
  readOpen,
} from "./message.js";
import { Network } from "./network.js";
import {
  lackingRoom,
  lacksRoom,
  type OpeningParts,
  type OpenResult,
  openSocket,
} from "./opening.js";
import { Pace } from "./pace.js";
import { ParkedEnds } from "./parked-ends.js";
import { type Region, Regions } from "./region.js";
import type { Session } from "./session.js";
import { Sessions } from "./sessions.js";
import { SharedMemory } from "./shared-memory.js";
import { SocketEnds } from "./socket-ends.js";
import type { SocketHost } from "./socket-host.js";
import { type EnginePaths, prepareControl, removeSocket } from "./socket-path.js";
import { SocketTable } from "./socket-table.js";
import { Submissions } from "./submissions.js";
import type { TcpServed } from "./tcp-served.js";
import { Troubles } from "./troubles.js";

const ALL = Readiness.IN | Readiness.OUT | Readiness.PRI | Readiness.RDHUP;
export class Engine implements SocketHost {
  readonly network: Network;
  readonly stack: Stack;
  readonly memory: SharedMemory;
  readonly regions: Regions;
  readonly ready = new ReadySet();
  readonly scratch = new Uint8Array(65_536);
  readonly control: Control;
  readonly ends = new SocketEnds();
  readonly launched: Launched;
  readonly room: DescriptorRoom;
  readonly cleaning: Cleaning;
  readonly troubles: Troubles;
  readonly pace: Pace;
  readonly paths: EnginePaths;
  readonly profile: Profile;
  readonly uid = process.getuid!();
  /** As `programs` lists them. */
  readonly sessions: readonly Session[];
  readonly sockets: SocketTable;
  readonly kernelSockets = new KernelSockets();
  readonly startUs: number;
  /** See `SocketHost`. */
  realTimeUs = 0;
  turns = 0;
  /** A session wants the control socket to be looked at now. */
  wantsControl = false;
  private readonly options: EngineOptions;
  private readonly lockFd: number;
  private readonly calls: Calls;
  private readonly submissions: Submissions;
  private readonly opening: OpeningParts;
  private readonly parked: ParkedEnds;
  private readonly events = new ReadyEvents(64);
  private readonly programs: Sessions;
  private readonly housekeeping: Housekeeping;
  private retries: EngineSocket[] = [];
  private retried: EngineSocket[] = [];
  private readonly stuck: Session[] = [];
  private routesVersion = 0;
  private isClosed = false;

  /** Opens the control socket. Throws `NetError`: EBUSY when an engine runs already. */
  constructor(options: EngineOptions) {
    const { pool, nowUs, nics, network, paths } = options;
    this.options = options;
    this.paths = paths;
    this.room = new DescriptorRoom(options.mostFds);
    this.troubles = new Troubles(options.tell ?? (() => {}));
    this.pace = new Pace(this.troubles);
    this.profile = options.profile;
    this.startUs = nowUs;
    prepareControl(paths.control);
    this.lockFd = lockEngine(paths.lock);
    this.network = new Network({ pool, nowUs, nics, network });
    this.stack = this.network.stack;
    this.memory = new SharedMemory(pool.memory.arena);
    this.cleaning = new Cleaning(this.ends, this.room, this.memory);
    this.regions = new Regions(this.memory);
    this.programs = new Sessions({
      network: this.network,
      regions: this.regions,
      uid: this.uid,
      profile: options.profile,
      spinUs: options.spinUs,
      rules: options.rules,
      loopback: options.loopback,
      onStuck: (session) => this.wasStuck(session),
    });
    this.launched = new Launched((address) => this.network.leaveHome(address));
    this.sessions = this.programs.list;
    this.housekeeping = new Housekeeping(this.sessions);
    this.sockets = new SocketTable(this.ends);
    this.opening = {
      network: this.network,
      host: this,
      rings: options.rings,
      nextId: () => this.sockets.takeId(),
    };
    this.parked = new ParkedEnds({
      opening: this.opening,
      ends: this.ends,
      sockets: this.sockets,
      kernelSockets: this.kernelSockets,
      adopt: (served) => this.adoptSocket(served),
      hold: (session, served, local, fd) => this.control.hold(session, served, local, fd),
      takeSubmissions: (session) => this.submissions.finish(session),
    });
    this.calls = new Calls({
      memory: this.memory,
      network: this.network,
      loopback: options.loopback,
      nowUs: () => this.stack.nowUs,
      socketFor: (session, local) => this.socketFor(session, local),
      onUnheld: (served) => this.ends.look(served),
      parked: this.parked,
    });
    this.submissions = new Submissions({
      sessions: this.sessions,
      calls: this.calls,
      socketFor: (session, local) => this.socketFor(session, local),
      wantControl: () => {
        this.wantsControl = true;
      },
    });
    removeStaleSocket(paths.control); // of an engine that died
    const listenFd = listenUnix({ path: paths.control }, BACKLOG);
    const loopFd = options.watchLoop === false ? -1 : eventLoopFd();
    this.control = new Control(this, listenFd, loopFd);
    this.setRealTime();
  }

  /** Hot path. One turn; whether there was anything to do. */
  turn(nowUs: number): boolean {
    const { stack } = this;
    if (nowUs > stack.nowUs) stack.nowUs = nowUs;
    let worked = this.submissions.take();
    if (worked) stack.flush(nowUs);
    if (stack.poll(nowUs)) worked = true;
    if (this.ready.hasCandidates) this.tellSockets(nowUs);
    if (this.retries.length > 0) this.retry(nowUs);
    if (nowUs >= this.housekeeping.dueUs) this.keepHouse(nowUs);
    if (stack.ip.paths.version !== this.routesVersion) this.publishRoutes();
    if (worked) this.turns++;
    return worked;
  }

  /**
   * Hot path. The socket of a session's entry, or null. Who has accepted a connection says so on the
   * control socket, does not wait, and submits: that message is then read first.
   */
  socketFor(session: Session, local: number): EngineSocket | null {
    const served = session.socketAt(local);
    if (served !== null) return served;
    this.control.serveSession(session);
    return session.isClosed ? null : session.socketAt(local);
  }

  /** Hot path. */
  private tellSockets(nowUs: number): void {
    const { events } = this;
    const n = this.ready.take(events);
    for (let i = 0; i < n; i++) {
      const served = (events.sockets[i] as PolledSocket).owner as EngineSocket | null;
      if (served !== null) served.pumpIn(events.bits[i]!);
    }
    this.stack.flush(nowUs);
  }

  /** Programs that know where a datagram goes must ask again. */
  private publishRoutes(): void {
    this.routesVersion = this.stack.ip.paths.version;
    this.programs.setRoutes(this.routesVersion);
  }

  private retry(nowUs: number): void {
    const { retries } = this;
    this.retries = this.retried;
    this.retried = retries;
    for (const served of retries) {
      served.isRetrying = false;
      if (served.isClosed) continue;
      served.pumpOut();
      if (!served.isClosed) served.pumpIn(served.socket.readiness());
    }
    retries.length = 0;
    this.stack.flush(nowUs);
  }

  /** Whether a turn would find work though no frame and no submission has come. */
  get hasRetries(): boolean {
    return this.retries.length > 0 || this.ready.hasCandidates;
  }

  /** When the next turn is due without a wake, or NEVER. */
  nextDeadlineUs(): number {
    const { housekeeping, calls, network, stack } = this;
    const lingerUs = Math.max(calls.nextDeadlineUs, housekeeping.dueUs);
    const sweepUs = network.hasLeft ? housekeeping.dueUs : NEVER;
    const { nextUs } = this.control;
    return Math.min(housekeeping.nextUs, lingerUs, sweepUs, nextUs, stack.nextDeadlineUs());
  }

  private keepHouse(nowUs: number): void {
    this.setRealTime();
    this.calls.poll(nowUs);
    if (this.network.hasLeft) this.network.sweep((home) => this.isHomeUsed(home));
    this.housekeeping.keep(nowUs);
  }

  private isHomeUsed(home: Home): boolean {
    for (const served of this.sockets.values()) if (served.home === home) return true;
    return false;
  }

  /** Not by a reading of the real time and the turn's: others may have had the processor since that one. */
  private setRealTime(): void {
    this.realTimeUs = Math.round(realTimeAheadUs());
  }

  // For sockets

  retryLater(socket: EngineSocket): void {
    if (socket.isRetrying) return;
    socket.isRetrying = true;
    this.retries.push(socket);
  }

  watchQueued(socket: EngineSocket): void {
    this.housekeeping.watchQueued(socket as TcpServed);
  }

  awaitClaim(socket: EngineSocket): void {
    this.housekeeping.awaitClaim(socket, this.stack.nowUs);
  }

  offered(): void {
    this.housekeeping.offered();
  }

  watchDraining(socket: EngineSocket): void {
    this.housekeeping.watchDraining(socket, this.stack.nowUs);
  }

  lingered(): void {
    this.calls.poll(this.stack.nowUs);
  }

  forget(socket: EngineSocket): void {
    this.sockets.remove(socket);
    this.housekeeping.forgetQueued(socket as TcpServed);
    if (this.calls.isWaiting) this.lingered();
  }

  adopt(listener: EngineSocket, socket: PolledSocket): EngineSocket | null {
    const served = serveAccepted(this, this.options.rings, listener, socket, this.sockets.takeId());
    if (served === null) return null;
    this.adoptSocket(served);
    served.refresh();
    return served;
  }

  private adoptSocket(served: EngineSocket): void {
    this.sockets.add(served);
    this.ready.add(served.socket, ALL, WatchMode.EDGE);
  }

  // For the control socket

  begin(hello: Hello, pid: number, controlFd: number, own: OwnRules): Session {
    for (;;) {
      try {
        return this.programs.begin(hello, pid, controlFd, own);
      } catch (error) {
        if (!lacksRoom(error) || !this.cleaning.makeRoom()) throw error;
      }
    }
  }

  areNewRules(file: string, text: string): boolean {
    return this.programs.areNewRules(file, text);
  }

  launch(hello: Hello, pidFd: number): void {
    let hasEntered = false;
    try {
      this.network.enterHome(hello.address);
      hasEntered = true;
      if (pidFd >= 0) this.launched.add(pidFd, hello.address);
    } catch (error) {
      if (hasEntered) this.network.leaveHome(hello.address);
      if (pidFd >= 0) closeFd(pidFd);
      throw error;
    }
    // Without a pidfd it is only an answer: the address goes unless the program comes soon.
    if (pidFd < 0) this.network.leaveHome(hello.address);
  }

  /** A program has made us wait to ring it: its sockets end, and its session as soon as that can be. */
  private wasStuck(session: Session): void {
    const { name, pid } = session.program;
    const text =
      `ended the session of ${name} (pid ${pid}): it made the event by which it is woken block, ` +
      "which no shim does";
    this.troubles.happened("stuck-program", this.stack.nowUs, text);
    this.stuck.push(session);
    this.wantsControl = true;
  }

  /** Ends those that {@link wasStuck} has noted. */
  takeStuck(): Session | null {
    const session = this.stuck.pop() ?? null;
    if (session === null) return null;
    for (const served of [...session.sockets]) if (served?.isOnlyOf(session)) served.fail();
    return session;
  }

  noDescriptors(): void {
    const text =
      `no descriptors left (${this.room.most} at most): new sockets stay with the kernel; ` +
      "raise the limit: ulimit -n, or LimitNOFILE= of the service";
    this.troubles.happened("no-descriptors", this.stack.nowUs, text);
  }

  /** Whether anybody would miss it. */
  get isUsed(): boolean {
    return this.sessions.length > 0 || this.launched.size > 0;
  }

  end(session: Session): void {
    this.submissions.finish(session); // what it submitted before it went is still to be done
    for (const served of [...session.sockets]) served?.removeSession(session);
    this.kernelSockets.endSession(session);
    this.parked.endSession(session);
    this.programs.end(session);
  }

  open(session: Session, view: DataView, n: number, companionFd: number): OpenResult | null {
    const request = readOpen(view, n);
    if (request === null || !isEntry(request.local)) return null;
    let result = openSocket(this.opening, session, request, view);
    while (result.lacksRoom === true && this.cleaning.makeRoom()) {
      result = openSocket(this.opening, session, request, view);
    }
    const { served } = result;
    if (served === null) return this.notOpened(session, result);
    if (request.companion === Companion.HEARS) served.companionFd = companionFd;
    else if (request.companion !== Companion.NONE) served.holdFd = companionFd;
    this.kernelSockets.remove(session, request.fd);
    this.adoptSocket(served);
    this.control.hold(session, served, request.local, request.fd);
    return result;
  }

  refuse(session: Session, request: OpenRequest, reason: string): OpenResult {
    return this.notOpened(session, lackingRoom(this.network, request, reason));
  }

  /** What stays with the kernel is kept, for statistics. */
  private notOpened(session: Session, result: OpenResult): OpenResult {
    const { request, code, reason } = result;
    const isKernels = code === NotOpened.STAYS || code === NotOpened.NO_ROOM;
    if (isKernels && request.at !== OpenedFor.TRY) this.kernelSockets.put(session, request, reason);
    return result;
  }

  kernelSocket(session: Session, view: DataView, n: number): void {
    const request = readOpen(view, n);
    if (request !== null) this.kernelSockets.told(session, request);
  }

  socketByEnd(inode: number): EngineSocket | null {
    return this.sockets.byEnd(inode);
  }

  makeRoom(): boolean {
    return this.cleaning.makeRoom();
  }

  claim(session: Session, connection: number): EngineSocket | null {
    return this.sockets.claim(session, connection);
  }

  setEnd(served: EngineSocket, endFd: number, endInode: number): void {
    this.sockets.setEnd(served, endFd, endInode);
  }

  regionFor(session: Session, id: number): Region | null {
    const region = this.regions.get(id);
    return region !== undefined && session.mayMap(region) ? region : null;
  }

  // For the loop

  /** Hot path. The loop's thread is on this processor. */
  setCpu(cpu: number): void {
    this.programs.setCpu(cpu);
  }

  /** How long to poll without work. */
  get spinUs(): number {
    return this.programs.spinUs;
  }

  /** Tells programs and devices to wake the engine; false when there is work after all. */
  prepareSleep(): boolean {
    if (this.stuck.length > 0 || !this.programs.prepareSleep()) return false;
    for (const { device } of this.stack.ip.interfaces) {
      if (device.prepareSleep?.() === false) return false;
    }
    return true;
  }

  endSleep(): void {
    this.programs.endSleep();
  }

  /** Descriptors that are readable when a turn, or the control socket, has something to do. */
  get wakeFds(): number[] {
    const devices = this.stack.ip.interfaces.map((i) => i.device.wakeFd);
    const kernel = this.stack.ip.kernel?.wakeFd ?? -1;
    return [this.programs.wakeFd, this.control.wakeFd, kernel, ...devices].filter((fd) => fd >= 0);
  }

  /** Ends every session and connection, and gives everything back. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    removeSocket(this.paths.control);
    this.control.farewell();
    for (const served of [...this.sockets.values()]) served.abort();
    this.control.close();
    this.launched.close();
    this.ends.closeSet();
    this.stack.close();
    this.programs.close();
    closeFd(this.lockFd);
  }
}
