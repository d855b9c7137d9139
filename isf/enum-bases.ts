import type { BaseType } from './base-type.ts';

/** C's integer types by size, unsigned and signed. */
const integers = [
  [1, 'unsigned char', 'signed char'],
  [2, 'short unsigned int', 'short int'],
  [4, 'unsigned int', 'int'],
  [8, 'long unsigned int', 'long int'],
] as const;

/**
 * The base types that enumerations are made of: of a size and sign the first integer type by name, as dwarf2json
 * chooses it, else a character. Volatility cannot read an enumeration whose base is no number.
 */
export class EnumBases {
  /** Names by size and sign: a hostile file has as many bases as enumerations. */
  readonly #names = new Map<string, string>();
  /** Integer types for sizes and signs that the kernel describes none of; the ISF must define them. */
  readonly added: readonly BaseType[];

  /** `bases` are those that an enumeration can be made of; no name of `taken` is given to another type. */
  constructor(bases: readonly BaseType[], taken: ReadonlySet<string>) {
    const there = new Set(bases.map(keyOf));
    this.added = integers.flatMap(([sizeBytes, ...names]) =>
      names.flatMap((name, index): BaseType[] => {
        const base: BaseType = { name, sizeBytes, signed: index === 1, kind: sizeBytes === 1 ? 'char' : 'int' };
        return there.has(keyOf(base)) || taken.has(name) ? [] : [base];
      }),
    );
    const all = [...bases, ...this.added].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
    for (const base of all.reverse()) this.#names.set(keyOf(base), base.name);
  }

  /** Name of the base type; `void` for a size that no integer has. */
  of(sizeBytes: number, signed: boolean): string {
    return this.#names.get(keyOf({ sizeBytes, signed })) ?? 'void';
  }
}

function keyOf({ sizeBytes, signed }: Pick<BaseType, 'sizeBytes' | 'signed'>): string {
  return `${sizeBytes} ${signed}`;
}

/** A plain char is signed in some builds only: a base that says so comes first. */
function rank({ kind, name }: BaseType): number {
  if (kind === 'int') return 0;
  return name === 'char' ? 2 : 1;
}
