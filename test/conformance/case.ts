/**
 * A conformance case: a script (src/sim/script.ts) and what it proves. Cases lie in `cases/`, one
 * file an RFC; `conformance.test.ts` runs them on Millrace in virtual time,
 * `test/interop/conformance-linux.test.ts` on Linux, which must pass first.
 */
export interface ConformanceCase {
  /** Starts with the section, and the requirement's number where the RFC gives one. */
  readonly title: string;
  readonly script: string;
  /** IP version; 4 unless it says otherwise. */
  readonly family?: 4 | 6;
  /** Why Linux is not asked, where it does otherwise or the case takes too long in real time. */
  readonly notOnLinux?: string;
}
