import { BadInput } from '../bad-input.ts';
import type { Btf } from './btf.ts';
import { kind } from './kinds.ts';

/** Longest way from a reference to what it names; a kernel's has about ten steps. */
export const maxSteps = 64;

/** Place of a member from its struct's start, and its width if it is a bit field (0: it is none). `offset` is the member's third word. */
export function bitsOf(
  btf: Btf,
  id: number,
  offset: number,
  type: number,
): { readonly offsetBits: number; readonly bits: number } {
  if (btf.flag(id)) return { offsetBits: offset & 0xff_ffff, bits: offset >>> 24 };
  // Without the flag a bit field is an integer that is narrower than its size.
  const target = resolved(btf, type);
  if (btf.kind(target) !== kind.int) return { offsetBits: offset, bits: 0 };
  const encoding = btf.word(target, 12);
  const [bits, shift] = [encoding & 0xff, (encoding >>> 16) & 0xff];
  const narrow = shift !== 0 || bits !== btf.sizeOrType(target) * 8;
  return narrow ? { offsetBits: offset + shift, bits } : { offsetBits: offset, bits: 0 };
}

function resolved(btf: Btf, id: number): number {
  let target = id;
  for (let steps = 0; steps < maxSteps; steps += 1) {
    const found = btf.kind(target);
    const passes = found === kind.typedef || found === kind.const || found === kind.volatile || found === kind.restrict;
    if (!passes && found !== kind.typeTag) return target;
    target = btf.sizeOrType(target);
  }
  throw new BadInput(btf.place(id), `more than ${maxSteps} types refer to each other in a chain or a circle`);
}
