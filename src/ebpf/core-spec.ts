/**
 * What a CO-RE relocation refers to (`bpf_core_parse_spec` of libbpf's relo_core.c): a member, found by
 * walking an access string such as `0:1:2` through the object's own types, and the same member by its
 * names in other types.
 */
import { type Btf, BtfKind, type BtfMember, type BtfType } from "./btf.js";
import { badObject } from "./ebpf-error.js";

/** One step: an element of an array, or a member by its name. */
type Step = { readonly element: number } | { readonly member: string };

export interface Field {
  readonly bitOffset: number;
  /** 0: not a bit field. */
  readonly bitSize: number;
  /** The type that the walk ended at. */
  readonly type: number;
}

export interface FieldSpec extends Field {
  readonly steps: readonly Step[];
}

const MAX_STEPS = 64;

/** Walks an access string from a type of the object. Throws `EbpfError` ENOEXEC. */
export function parseAccess(btf: Btf, root: number, access: string): FieldSpec {
  const numbers = access.split(":").map(Number);
  if (numbers.length > MAX_STEPS || numbers.some((n) => !Number.isSafeInteger(n) || n < 0)) {
    throw badObject(`.BTF.ext: expected numbers with colons as an access, got "${access}"`);
  }
  let type = btf.resolve(root);
  // The first number counts whole objects, as in p[n].
  let bitOffset = numbers[0]! * btf.sizeOf(type.id) * 8;
  let bitSize = 0;
  const steps: Step[] = [{ element: numbers[0]! }];
  for (const number of numbers.slice(1)) {
    if (type.kind === BtfKind.ARRAY) {
      steps.push({ element: number });
      type = btf.resolve(type.type);
      bitOffset += number * btf.sizeOf(type.id) * 8;
      continue;
    }
    const member = type.members[number];
    if (member === undefined || !isComposite(type)) {
      throw badObject(`.BTF.ext: type ${type.id} (${type.name}) has no member ${number}`);
    }
    if (member.name !== "") steps.push({ member: member.name });
    bitOffset += member.bitOffset;
    bitSize = member.bitSize;
    type = btf.resolve(member.type);
  }
  return { steps, bitOffset, bitSize, type: type.id };
}

/** The same steps through a type of another BTF; null when it has no such member. */
export function findField(btf: Btf, root: number, steps: readonly Step[]): Field | null {
  let type = btf.resolve(root);
  let bitOffset = 0;
  let bitSize = 0;
  for (const [i, step] of steps.entries()) {
    if ("element" in step) {
      if (i > 0) {
        if (type.kind !== BtfKind.ARRAY) return null;
        // A flexible array (0 elements) at the end of a struct has any.
        if (type.elements > 0 && step.element >= type.elements) return null;
        type = btf.resolve(type.type);
      }
      bitOffset += step.element * btf.sizeOf(type.id) * 8;
      continue;
    }
    const found = isComposite(type) ? findMember(btf, type, step.member, 0) : null;
    if (found === null) return null;
    bitOffset += found.bitOffset;
    bitSize = found.member.bitSize;
    type = btf.resolve(found.member.type);
  }
  return { bitOffset, bitSize, type: type.id };
}

const MAX_NESTING = 16;

/** A member by its name, also in members without a name of their own. */
function findMember(
  btf: Btf,
  type: BtfType,
  name: string,
  depth: number,
): { member: BtfMember; bitOffset: number } | null {
  if (depth > MAX_NESTING) return null;
  for (const member of type.members) {
    if (member.name === name) return { member, bitOffset: member.bitOffset };
    if (member.name !== "") continue;
    const inner = btf.resolve(member.type);
    if (!isComposite(inner)) continue;
    const found = findMember(btf, inner, name, depth + 1);
    if (found !== null) {
      return { member: found.member, bitOffset: member.bitOffset + found.bitOffset };
    }
  }
  return null;
}

export function isComposite(type: BtfType): boolean {
  return type.kind === BtfKind.STRUCT || type.kind === BtfKind.UNION;
}
