/**
 * Memory that another processor writes at the same time. `Atomics` give every order, and are calls in
 * compiled code of Node.js 20 to 24: 8 to 10 ns a load, more for a store, which is a full barrier.
 *
 * x86-64 shows stores in their order and loads in theirs to other cores (Intel SDM volume 3A §9.2.2), and
 * V8 leaves typed-array accesses in the order that the program has. So there a plain load of a flag or
 * index, then plain loads of what it guards, is right, and so is a plain store of an index that hands back
 * what was read before. What such a load misses, the next look sees. Other processors need the atomic.
 *
 * A store that must be seen before a later load (asking for a wake, then looking once more) needs
 * `Atomics` everywhere.
 */
export const KEEPS_ORDER: boolean = process.arch === "x64";
