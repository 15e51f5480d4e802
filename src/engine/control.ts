/**
 * The control socket: who connects, who they are, and their messages one by one. A process that breaks
 * the protocol loses its session, and nobody else is affected.
 */
import { EAGAIN, EBUSY, ECONNABORTED, ECONNRESET, EMFILE, EPROTO } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { NEVER } from "../base/time.js";
import { LAYOUT_VERSION, MESSAGE_BYTES, Msg } from "../ring/engine-layout.js";
import { closeFd, createEvent, isProcess } from "../sys/fd.js";
import { PollBits, PollSet } from "../sys/poll-set.js";
import {
  acceptUnix,
  discardUnix,
  peerOf,
  receiveWithFds,
  SocketKind,
  sendWithFds,
  shutUnix,
  socketKind,
  throwAway,
  waitingBytes,
  wereFdsLost,
} from "../sys/unix-socket.js";
import type { Cleaning } from "./cleaning.js";
import { nowUs as clock } from "./clock.js";
import { ControlRequests, type Received, type RequestHost } from "./control-requests.js";
import type { OwnRules } from "./decision.js";
import type { DescriptorRoom } from "./descriptor-room.js";
import type { EngineSocket } from "./engine-socket.js";
import { type Introduction, introductionBy, ownRules } from "./introduction.js";
import type { Launched } from "./launched.js";
import { type Hello, readHello, welcome } from "./message.js";
import { RulesTurns } from "./rules-turns.js";
import type { Session } from "./session.js";
import type { SocketEnds } from "./socket-ends.js";
import { Strangers } from "./strangers.js";

/** What the control socket needs of the engine. */
export interface ControlHost extends RequestHost {
  readonly uid: number;
  readonly ends: SocketEnds;
  readonly launched: Launched;
  readonly room: DescriptorRoom;
  readonly cleaning: Cleaning;
  /** A new session. Throws `NetError`. */
  begin(hello: Hello, pid: number, controlFd: number, own: OwnRules): Session;
  /** Whether nobody has had rules of this text. */
  areNewRules(file: string, text: string): boolean;
  end(session: Session): void;
  /** The next session that is to be ended, or null. */
  takeStuck(): Session | null;
  /** A program will be there, with this pidfd, which is taken (-1: it has none). Throws `NetError`. */
  launch(hello: Hello, pidFd: number): void;
}

/** Who may wait to be let in. */
export const BACKLOG = 512;
/**
 * Processes whose messages are taken in a pass, and messages of each: what opens sockets takes about 0.1 ms,
 * and programs that only wait for data wait for it. The rest is there in the next pass.
 */
const EVENTS = 8;
const BURST = 4;
/** How long nobody is let in after the last descriptor was given away. */
const FULL_US = 100_000;

export class Control {
  private readonly host: ControlHost;
  private readonly listenFd: number;
  private readonly loopFd: number;
  /** Listener, control sockets, the sockets' ends, launched programs, and Node's event loop. */
  private readonly set = new PollSet();
  private readonly strangers = new Strangers();
  /** Of them, those whom others let in: however many these are, who comes to the socket is not turned away. */
  private readonly invited = new Strangers();
  /** What is known of those by whom let them in. */
  private readonly introductions = new Map<number, Introduction>();
  /** Null: has not said HELLO. */
  private readonly sessions = new Map<number, Session | null>();
  /** Who has said HELLO, with new rules, and whose turn it is not. */
  private readonly rulesTurns = new RulesTurns();
  private readonly events = new Int32Array(2 * EVENTS);
  private readonly message = new Uint8Array(MESSAGE_BYTES);
  private readonly received: Received;
  private readonly requests: ControlRequests;
  /** Until then nobody is let in, or NEVER. */
  private fullUs = NEVER;
  /** When {@link service} was called last. */
  private servedUs = 0;
  /** Kept to turn people away with when there are no descriptors any more, or -1. */
  private reserve = reserveFd();

  /** Takes the listening descriptor. */
  constructor(host: ControlHost, listenFd: number, loopFd: number) {
    this.host = host;
    this.listenFd = listenFd;
    this.loopFd = loopFd;
    this.received = { view: new DataView(this.message.buffer), fds: [], areLost: false };
    this.requests = new ControlRequests(host, host.room, this.received);
    this.set.add(listenFd);
    this.set.add(host.ends.fd);
    this.set.add(host.launched.fd);
    if (loopFd >= 0) this.set.add(loopFd);
  }

  /** Readable when {@link service} has something to do. */
  get wakeFd(): number {
    return this.set.fd;
  }

  /** When {@link service} has something to do without that, or NEVER. */
  get nextUs(): number {
    const { strangers, invited, rulesTurns } = this;
    return Math.min(strangers.nextUs, invited.nextUs, rulesTurns.nextUs, this.fullUs);
  }

  /** Does what is there to do; whether Node's event loop wants to run. */
  service(nowUs: number): boolean {
    this.servedUs = nowUs;
    const { ends, launched, cleaning } = this.host;
    const mustWait = cleaning.begin();
    let wantsLoop = false;
    let hasHangUps = false;
    const n = this.set.take(this.events, EVENTS);
    for (let i = 0; i < n; i++) {
      const fd = this.events[2 * i]!;
      if (fd === this.loopFd) wantsLoop = true;
      else if (fd === ends.fd) hasHangUps = true;
      else if (fd === launched.fd) launched.service();
      else if (this.rulesTurns.has(fd)) this.hearWaiting(fd, this.events[2 * i + 1]!);
      else if (mustWait && (this.events[2 * i + 1]! & PollBits.HUP) === 0) continue;
      else if (fd === this.listenFd) this.accept(nowUs);
      else this.serve(fd);
    }
    cleaning.end(hasHangUps);
    if (nowUs >= this.nextUs) this.keepTime(nowUs);
    for (let s = this.host.takeStuck(); s !== null; s = this.host.takeStuck()) {
      if (this.sessions.get(s.controlFd) === s) this.drop(s.controlFd);
    }
    return wantsLoop;
  }

  /** Who has gone gives up its turn, unless it has said behind its HELLO whom it lets in: these have its rules. */
  private hearWaiting(fd: number, bits: number): void {
    if ((bits & PollBits.HUP) !== 0 && waitingBytes(fd) === 0) this.drop(fd);
  }

  private keepTime(nowUs: number): void {
    const next = this.rulesTurns.take(nowUs);
    if (next !== null) {
      const { fd, hello, text } = next;
      this.set.remove(fd);
      this.set.add(fd);
      if (!this.join(fd, hello, text, this.host.areNewRules(hello.rules, text))) this.drop(fd);
    }
    for (const some of [this.strangers, this.invited]) {
      for (let fd = some.silent(nowUs); fd >= 0; fd = some.silent(nowUs)) this.drop(fd);
    }
    if (nowUs < this.fullUs) return;
    this.fullUs = NEVER;
    if (this.reserve < 0) this.reserve = reserveFd();
    this.set.add(this.listenFd);
  }

  private accept(nowUs: number): void {
    for (let i = 0; i < BURST; i++) {
      const fd = acceptUnix(this.listenFd);
      // Who has connected in vain is gone again.
      if (fd === -ECONNABORTED) continue;
      if (fd === -EAGAIN) return;
      if (fd < 0) {
        this.turnAllAway(nowUs);
        return;
      }
      if (!this.host.room.forProcess(fd)) this.turnAway(fd);
      else if (peerOf(fd).uid !== this.host.uid) discardUnix(fd);
      else this.welcome(fd, this.strangers, nowUs);
    }
  }

  /**
   * There is no descriptor for who comes. One is kept for this, so that nobody waits for an answer. If
   * even that is gone, nobody is let in for a while: polling for it would keep a processor busy.
   */
  private turnAllAway(nowUs: number): void {
    if (this.reserve >= 0) {
      closeFd(this.reserve);
      for (let i = 0; i < BACKLOG; i++) {
        const fd = acceptUnix(this.listenFd);
        if (fd < 0) break;
        this.turnAway(fd);
      }
      this.reserve = reserveFd();
      if (this.reserve >= 0) return;
    }
    this.host.noDescriptors();
    this.set.remove(this.listenFd);
    this.fullUs = nowUs + FULL_US;
  }

  private turnAway(fd: number): void {
    this.host.noDescriptors();
    const reason = "the engine has no descriptors left (ulimit -n)";
    this.answer(fd, welcome(Msg.HELLO, -EMFILE, 0, reason), []);
    discardUnix(fd);
  }

  private welcome(fd: number, among: Strangers, nowUs: number): void {
    const oldest = among.add(fd, nowUs);
    if (oldest >= 0) this.drop(oldest);
    this.sessions.set(fd, null);
    this.set.add(fd);
  }

  /** Takes a process's messages now, unless it is gone. */
  serveSession(session: Session): void {
    if (this.sessions.get(session.controlFd) === session) this.serve(session.controlFd);
  }

  /** Takes messages of one process. */
  private serve(fd: number): void {
    const { received, rulesTurns } = this;
    for (let i = 0; i < BURST && this.sessions.has(fd) && !rulesTurns.has(fd); i++) {
      const n = receiveWithFds(fd, this.message, received.fds);
      if (n === -EAGAIN) return;
      // It is gone and has not read all; what it said before, of others whom it lets in, comes now.
      if (n === -ECONNRESET) continue;
      received.areLost = wereFdsLost();
      const isFine = n >= 4 && this.tryHandle(fd, n);
      for (const left of received.fds) throwAway(left);
      received.fds.length = 0;
      if (!isFine) this.drop(fd);
    }
  }

  /** What the system refuses for one process ends that one's session. */
  private tryHandle(fd: number, n: number): boolean {
    try {
      return this.handle(fd, n);
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      return false;
    }
  }

  /** The process is gone, or must go. */
  private drop(fd: number): void {
    const session = this.sessions.get(fd);
    if (session === undefined) return;
    this.sessions.delete(fd);
    this.strangers.remove(fd);
    this.invited.remove(fd);
    this.introductions.delete(fd);
    this.rulesTurns.remove(fd);
    this.set.remove(fd);
    if (session !== null) this.host.end(session);
    discardUnix(fd);
  }

  /** Whether the message was one. Descriptors that stay in `fds` are closed afterwards. */
  private handle(fd: number, n: number): boolean {
    const type = this.received.view.getUint32(0, true);
    const session = this.sessions.get(fd) ?? null;
    if (type === Msg.DOOR) return this.admit(fd, session);
    if (session !== null) return this.requests.handle(session, type, n);
    const hello = type === Msg.HELLO || type === Msg.LAUNCH ? this.readHello(fd, type, n) : null;
    if (hello === null) return false;
    return type === Msg.HELLO ? this.hello(fd, hello) : this.launch(fd, hello);
  }

  /** A process lets in one that it starts, which may not come to this socket itself: another user, say. */
  private admit(by: number, session: Session | null): boolean {
    const { fds } = this.received;
    if (this.received.areLost) return true; // whose it is hears of its end
    if (fds.length === 0 || socketKind(fds[0]!) !== SocketKind.UNIX_MESSAGES) return false;
    const fd = fds.shift()!;
    if (!this.host.room.forProcess(fd)) {
      this.turnAway(fd);
      return true;
    }
    const known = session === null ? this.introductions.get(by) : introductionBy(session);
    if (known !== undefined) this.introductions.set(fd, known);
    this.welcome(fd, this.invited, this.servedUs);
    return true;
  }

  private readHello(fd: number, type: number, n: number): Hello | null {
    const hello = readHello(this.received.view, n);
    if (hello === null || hello.version === LAYOUT_VERSION) return hello;
    const reason = `the engine speaks version ${LAYOUT_VERSION}, the program ${hello.version}`;
    this.answer(fd, welcome(type, -EPROTO, 0, reason), []);
    return null;
  }

  private hello(fd: number, hello: Hello): boolean {
    const { fds, areLost } = this.received;
    try {
      const rules = ownRules(hello, this.introductions.get(fd), fds[0], areLost);
      const isNew = typeof rules === "string" && this.host.areNewRules(hello.rules, rules);
      if (!isNew || this.rulesTurns.isFree(this.servedUs))
        return this.join(fd, hello, rules, isNew);
      if (!this.rulesTurns.add({ fd, hello, text: rules })) {
        const hint = "too many programs with rules of their own have come at once";
        throw new NetError(EBUSY, { syscall: "rules", hint });
      }
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      return this.refuse(fd, error);
    }
    this.strangers.remove(fd);
    this.invited.remove(fd);
    this.set.remove(fd);
    this.set.addEdge(fd); // what it says next is for afterwards, unless it goes
    return true;
  }

  /** Who is not let in, and goes. */
  private refuse(fd: number, error: NetError): false {
    this.answer(fd, welcome(Msg.HELLO, error.errno, 0, error.message), []);
    return false;
  }

  private join(fd: number, hello: Hello, rules: OwnRules, isNew: boolean): boolean {
    const beganUs = isNew ? clock() : 0;
    let session: Session;
    try {
      session = this.host.begin(hello, peerOf(fd).pid, fd, rules);
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      return this.refuse(fd, error);
    } finally {
      if (isNew) this.rulesTurns.note(this.servedUs, clock() - beganUs);
    }
    this.sessions.set(fd, session);
    this.strangers.remove(fd);
    this.invited.remove(fd);
    this.introductions.delete(fd);
    const fds = [session.part.fd, session.wakeFd];
    // Who is gone already may have let others in.
    this.answer(fd, welcome(Msg.HELLO, 0, session.id, ""), fds);
    return true;
  }

  /** The launcher hangs up when it has read the answer. */
  private launch(fd: number, hello: Hello): boolean {
    const { fds } = this.received;
    const pidFd = fds.length > 0 && isProcess(fds[0]!) ? fds.shift()! : -1;
    try {
      this.host.launch(hello, pidFd);
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      return this.answer(fd, welcome(Msg.LAUNCH, error.errno, 0, error.message), []);
    }
    return this.answer(fd, welcome(Msg.LAUNCH, 0, 0, ""), []);
  }

  private answer(fd: number, message: Uint8Array, fds: readonly number[]): boolean {
    return sendWithFds(fd, message, fds) >= 0;
  }

  hold(session: Session, served: EngineSocket, local: number, fd: number): void {
    this.requests.hold(session, served, local, fd);
  }

  /**
   * Before the sockets are closed: a program that finds one of them gone sees that the engine is, too, and takes it for
   * that, not for the peer's end.
   */
  farewell(): void {
    for (const fd of this.sessions.keys()) shutUnix(fd);
  }

  close(): void {
    for (const fd of [...this.sessions.keys()]) this.drop(fd);
    this.set.close();
    if (this.reserve >= 0) closeFd(this.reserve);
    closeFd(this.listenFd);
  }
}

function reserveFd(): number {
  try {
    return createEvent();
  } catch {
    return -1;
  }
}
