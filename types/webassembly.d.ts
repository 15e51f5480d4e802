/**
 * The part of the WebAssembly JavaScript interface that Millrace uses. Node's own types have it only
 * from version 22 on, and the DOM library would bring browser globals that do not exist here.
 */
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: ArrayBuffer;
  }
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Table {
    constructor(descriptor: { initial: number; element: "anyfunc" });
    set(index: number, run: unknown): void;
  }
  function validate(bytes: Uint8Array): boolean;
}
