import type { Btf } from './btf.ts';
import { kind } from './kinds.ts';

/** The largest number that a kernel returns for an error (MAX_ERRNO, include/linux/err.h). */
const maxErrno = 4095;

/** Values of an enumeration's constants as JSON numbers, in the order of the definition. */
export function readConstants(btf: Btf, id: number, flagged: boolean): (readonly [name: string, value: string])[] {
  const wide = btf.kind(id) === kind.enum64;
  const places = Array.from({ length: btf.itemCount(id) }, (_, index) => 12 + index * (wide ? 12 : 8));
  const signed = flagged ? btf.flag(id) : places.some((at) => isSmallNegative(btf.word(id, at + 4) | 0));
  return places.map((at) => {
    const low = btf.word(id, at + 4);
    const name = btf.text(btf.word(id, at), id);
    if (!wide) return [name, String(signed ? low | 0 : low)];
    return [name, BigInt.asIntN(64, (BigInt(btf.word(id, at + 8)) << 32n) | BigInt(low)).toString()];
  });
}

/**
 * Whether enumerations say if they are signed: pahole before 1.24 (kernels before 6.0) never set the flag. Then a small negative number shows a signed
 * one: 0x80000000 is a bit, 0xffffffff is -1.
 */
export function hasFlaggedEnums(btf: Btf): boolean {
  for (let id = 1; id < btf.count; id += 1) {
    const found = btf.kind(id);
    if (found === kind.enum64 || (found === kind.enum && btf.flag(id))) return true;
  }
  return false;
}

function isSmallNegative(value: number): boolean {
  return value < 0 && value >= -maxErrno;
}
