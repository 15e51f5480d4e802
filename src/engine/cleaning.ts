/**
 * The dead go first: when there is little room in the engine, sockets that nobody holds any more are closed before
 * anybody gets a new one. Otherwise those who come could be turned away from room that nobody has: programs that open
 * sockets wait for the processor in larger numbers than hang-ups are looked at.
 *
 * | room   | a pass over the control socket                                                       |
 * |--------|--------------------------------------------------------------------------------------|
 * | enough | messages, then up to 16 hang-ups                                                      |
 * | scarce | up to 64 hang-ups; messages wait while there are more of these and it stays scarce    |
 * | none   | for what would be refused: hang-ups until there is room, up to 128 of them            |
 */
import type { DescriptorRoom } from "./descriptor-room.js";
import type { SharedMemory } from "./shared-memory.js";
import type { SocketEnds } from "./socket-ends.js";

/** Looks for hang-ups of a pass: before messages, and for what would be refused. Each takes up to 0.7 ms. */
const LOOKS_BEFORE = 4;
const LOOKS_FOR_ROOM = 8;

export class Cleaning {
  private readonly ends: SocketEnds;
  private readonly room: DescriptorRoom;
  private readonly memory: SharedMemory;
  /** Of this pass. */
  private looks = 0;
  private looksForRoom = 0;

  constructor(ends: SocketEnds, room: DescriptorRoom, memory: SharedMemory) {
    this.ends = ends;
    this.room = room;
    this.memory = memory;
  }

  private get isScarce(): boolean {
    return this.memory.isScarce || this.room.isScarce;
  }

  /** A pass begins. Whether messages wait until the next one. */
  begin(): boolean {
    this.looks = 0;
    this.looksForRoom = 0;
    this.room.lookAgain(); // some may have been closed since
    while (this.isScarce) {
      if (this.looks === LOOKS_BEFORE) return true;
      this.looks++;
      if (this.ends.service() === 0) return false;
      this.room.lookAgain();
    }
    return false;
  }

  /**
   * The messages of a pass were taken. `hasHangUps`: there are some. After the messages: who closes a listener has said
   * before what it accepted.
   */
  end(hasHangUps: boolean): void {
    if (this.looks === 0 && (hasHangUps || this.ends.hasMore)) this.ends.service();
  }

  /** Something does not fit: closes what nobody holds, and says whether there was any, so that it may fit now. */
  makeRoom(): boolean {
    if (this.looksForRoom === LOOKS_FOR_ROOM) return false;
    this.looksForRoom++;
    // What a parked end has to catch up with are messages, and one is being handled.
    return this.ends.service(false) > 0;
  }
}
