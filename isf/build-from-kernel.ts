import { baseText } from './base-type.ts';
import { readBaseTypes } from './btf/base-types.ts';
import { Btf } from './btf/btf.ts';
import { enumText } from './btf/enums.ts';
import { readGlobals } from './btf/global-types.ts';
import { TypeNames } from './btf/type-names.ts';
import { TypeText, voidText } from './btf/type-text.ts';
import { readUserTypes, type UserTypes } from './btf/user-types.ts';
import { readPerCpuVariables } from './btf/variables.ts';
import { EnumBases } from './enum-bases.ts';
import { type IsfSummary, IsfWriter } from './isf.ts';
import { readKallsyms } from './kallsyms/kallsyms.ts';
import { metadataFor } from './metadata.ts';

/** What a running kernel tells of itself. */
export interface KernelInput {
  /** /sys/kernel/btf/vmlinux. */
  readonly btf: Buffer;
  /** Split BTF of modules (/sys/kernel/btf/NAME), in any order. */
  readonly moduleBtf: readonly { readonly name: string; readonly bytes: Buffer }[];
  /** /proc/kallsyms. */
  readonly kallsyms: Buffer;
  /** KERNELOFFSET of VMCOREINFO, taken off the addresses, so that one ISF serves every boot; 0 where that was done already. */
  readonly kernelOffset: bigint;
  /** /proc/version without its line end. */
  readonly banner: string;
  /** uname -r. */
  readonly release: string;
}

const maxRemarks = 100;

/**
 * Builds an ISF of what a running kernel tells of itself: types from BTF, symbols from kallsyms, and the types of the variables that are known
 * by name. The same kernel gives the same bytes at every boot. Synchronous: runs in a process of its own. `take` gets the text of the ISF in pieces.
 * Throws BadInput, and then the text is not complete.
 */
export function buildFromKernel(input: KernelInput, take: (bytes: Buffer) => void): IsfSummary {
  const { addresses, ambiguous } = readKallsyms(input.kallsyms, input.kernelOffset);
  const btf = new Btf(input.btf);
  const names = new TypeNames(btf);
  const types = new TypeText(btf, names);
  const described = readBaseTypes(btf);
  const enumBases = new EnumBases(
    described.filter(({ kind, name }) => (kind === 'int' || kind === 'char') && name !== 'pointer'),
    new Set(described.map(({ name }) => name)),
  );
  const bases = [...described, ...enumBases.added];
  const kernel = readUserTypes(btf, types);
  const sets = [{ btf, types, ...kernel }, ...readModules(input.moduleBtf, btf, names, kernel)];

  const writer = new IsfWriter(take, metadataFor('btf', ['kallsyms']));
  writer.section('base_types');
  for (const base of bases) writer.entry(base.name, baseText(base));
  writer.section('user_types');
  for (const set of sets) for (const [name, id] of set.users) writer.entry(name, set.types.user(id));
  writer.section('enums');
  for (const set of sets) {
    for (const [name, id] of set.enums) writer.entry(name, enumText(set.btf, set.types, id, enumBases));
  }
  writer.section('symbols');
  const perCpu = readPerCpuVariables(btf, types, addresses);
  const known = { btf, types, users: kernel.users, bases: new Set(bases.map(({ name }) => name)) };
  const { references, remarks } = readGlobals(known, { release: input.release, addresses, ambiguous });
  for (const [name, address] of addresses) {
    const constant = name === 'linux_banner' ? `,"constant_data":"${bannerData(input.banner)}"` : '';
    const type = references.get(name) ?? perCpu.get(name) ?? voidText;
    writer.entry(name, `{"type":${type},"address":${address}${constant}}`);
  }
  writer.end();
  return {
    banner: addresses.has('linux_banner') ? input.banner : undefined,
    bannerTold: true,
    baseTypes: bases.length,
    userTypes: sets.reduce((sum, { users }) => sum + users.size, 0),
    enums: sets.reduce((sum, { enums }) => sum + enums.size, 0),
    symbols: addresses.size,
    remarks: remarks.slice(0, maxRemarks),
  };
}

interface TypeSet extends UserTypes {
  readonly btf: Btf;
  readonly types: TypeText;
}

/** The modules' own types, by the names of the modules; an unnamed one that is there already is not written twice. */
function readModules(
  modules: KernelInput['moduleBtf'],
  kernelBtf: Btf,
  kernelNames: TypeNames,
  kernel: UserTypes,
): TypeSet[] {
  const seen = { users: new Set(kernel.users.keys()), enums: new Set(kernel.enums.keys()) };
  const fresh = (found: ReadonlyMap<string, number>, taken: Set<string>): Map<string, number> => {
    const added = new Map([...found].filter(([name]) => !taken.has(name)));
    for (const name of added.keys()) taken.add(name);
    return added;
  };
  const sorted = [...modules].sort((a, b) => (a.name < b.name ? -1 : 1));
  let names = kernelNames;
  return sorted.map(({ name: module, bytes }) => {
    const btf = new Btf(bytes, `BTF of ${module}`, kernelBtf);
    names = new TypeNames(btf, { names, module });
    const types = new TypeText(btf, names);
    const { users, enums } = readUserTypes(btf, types);
    return { btf, types, users: fresh(users, seen.users), enums: fresh(enums, seen.enums) };
  });
}

/** The constant of linux_banner as the kernel has it. */
function bannerData(banner: string): string {
  return Buffer.from(`${banner}\n\0`).toString('base64');
}
