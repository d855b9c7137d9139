import { readBaseTypes } from '../btf/base-types.ts';
import type { Btf } from '../btf/btf.ts';
import { readGlobals } from '../btf/global-types.ts';
import { TypeNames } from '../btf/type-names.ts';
import { TypeText } from '../btf/type-text.ts';
import { readUserTypes } from '../btf/user-types.ts';

/**
 * A sentence for each row of the table of globals whose variable the kernel has and whose type its BTF does not have.
 * `release` is uname -r, `names` are those of kallsyms. Throws BadInput.
 */
export function unresolvedGlobals(btf: Btf, release: string, names: Iterable<string>): readonly string[] {
  const types = new TypeText(btf, new TypeNames(btf));
  const { users } = readUserTypes(btf, types);
  const bases = new Set(readBaseTypes(btf).map(({ name }) => name));
  const addresses = new Map(Array.from(names, (name) => [name, 0n]));
  return readGlobals({ btf, types, users, bases }, { release, addresses, ambiguous: new Set() }).remarks;
}
