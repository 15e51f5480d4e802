/** The registers of RFC 9669 §2 and what the kernel's calling convention makes of them. */

/** r0 to r10: a class, so that no number is taken for a register. */
export class Register {
  readonly number: number;

  constructor(number: number) {
    this.number = number;
  }
}

/** Results; the verdict at the end. */
export const R0 = new Register(0);
/** Arguments are r1 to r5, which calls destroy; the context is in r1 at the start. */
export const R1 = new Register(1);
export const R2 = new Register(2);
export const R3 = new Register(3);
export const R4 = new Register(4);
export const R5 = new Register(5);
/** Calls keep r6 to r9. */
export const R6 = new Register(6);
export const R7 = new Register(7);
export const R8 = new Register(8);
export const R9 = new Register(9);
/** The end of the stack of 512 bytes; read only. */
export const R10 = new Register(10);
