import { baseText } from './base-type.ts';
import type { ByteSource } from './byte-source.ts';
import { AllVariables } from './dwarf/all-variables.ts';
import { readBaseTypes } from './dwarf/base-types.ts';
import { Budget } from './dwarf/budget.ts';
import { tag } from './dwarf/codes.ts';
import { DebugSections } from './dwarf/debug-sections.ts';
import { Enums } from './dwarf/enums.ts';
import { GoNames } from './dwarf/go-names.ts';
import { StaticVariables } from './dwarf/static-variables.ts';
import { takeSurvey } from './dwarf/survey.ts';
import { ByAddress, ByName, symbolsByName } from './dwarf/symbol-types.ts';
import { TypeNodes } from './dwarf/type-node.ts';
import { TypeSizes } from './dwarf/type-sizes.ts';
import { TypeText, voidText } from './dwarf/type-text.ts';
import { Units } from './dwarf/units.ts';
import { VariableReader } from './dwarf/variable-reader.ts';
import { winners } from './dwarf/winners.ts';
import { constantData } from './elf/constant-data.ts';
import { readSections } from './elf/elf-file.ts';
import { SymbolTable } from './elf/symbol-table.ts';
import { type IsfSummary, IsfWriter } from './isf.ts';
import { metadataFor } from './metadata.ts';

export interface ElfBuildOptions {
  /** Exactly the content of dwarf2json 0.9.0, its known faults included; default false: those faults are mended. */
  readonly likeDwarf2json?: boolean;
  /** The kernel's banner as known from elsewhere; stands in where the file carries no .rodata (split debug files). */
  readonly banner?: string;
}

/**
 * Builds the ISF of a linked ELF file from its DWARF (versions 2 to 5) and its symbol table: what dwarf2json makes of it, in a
 * small part of the time and memory. Synchronous: runs in a process of its own. `take` gets the text of the ISF in pieces.
 * Throws BadInput, and then the text is not complete.
 */
export function buildFromElf(
  elf: ByteSource,
  take: (bytes: Buffer) => void,
  options: ElfBuildOptions = {},
): IsfSummary {
  const likeDwarf2json = options.likeDwarf2json ?? false;
  const sections = readSections(elf);
  const table = new SymbolTable(elf, sections);
  const debug = new DebugSections(elf, sections);

  // all entries once, quickly, to learn which of them count; then those alone, closely
  const units = new Units(debug);
  const variables = likeDwarf2json ? new AllVariables(debug) : new StaticVariables(debug);
  const survey = takeSurvey(debug, units, variables);
  const nodes = new TypeNodes(debug, units, likeDwarf2json);
  const sizes = new TypeSizes(nodes);
  const budget = new Budget(debug.info.sizeBytes + debug.types.sizeBytes);
  const names = new GoNames(nodes, sizes, budget);
  const types = new TypeText(nodes, sizes, names, budget, likeDwarf2json);
  const symbols = symbolsByName(table, likeDwarf2json);
  const reader = new VariableReader(debug, units);
  const choice =
    variables instanceof AllVariables
      ? new ByName(symbols, variables, reader, types)
      : new ByAddress({ symbols, table, variables, names: debug.names }, reader, types);

  const writer = new IsfWriter(take, metadataFor('dwarf', ['dwarf', 'symtab']));
  writer.section('base_types');
  const described = readBaseTypes(nodes, survey.bases, survey.pointer);
  const enums = new Enums(described, names, budget, likeDwarf2json);
  const bases = likeDwarf2json ? described : [...described, ...enums.bases.added];
  for (const base of bases) writer.entry(base.name, baseText(base));

  writer.section('user_types');
  const users = new Set<string>();
  for (const { offset, isVariable } of winners(survey, nodes, choice.offsets)) {
    if (isVariable) {
      choice.take(offset);
      continue;
    }
    const node = nodes.at(offset);
    if (node.tag === tag.enumerationType) enums.take(node);
    else {
      const name = names.of(node);
      if (users.has(name)) continue;
      users.add(name);
      writer.entry(name, types.user(node.tag === tag.typedef ? nodes.at(node.type) : node));
    }
  }
  writer.section('enums');
  for (const [name, text] of enums.texts()) writer.entry(name, text);

  writer.section('symbols');
  let banner: string | undefined;
  let bannerTold = true;
  for (const [name, index] of symbols) {
    let constant = '';
    if (name === 'linux_banner') {
      const own = constantData(elf, sections, table.address(index), table.sizeBytes(index));
      const data = own ?? (options.banner === undefined ? undefined : Buffer.from(`${options.banner}\n\0`));
      bannerTold = own === undefined;
      banner = data && bannerText(data);
      if (data) constant = `,"constant_data":"${data.toString('base64')}"`;
    }
    writer.entry(name, `{"type":${choice.typeOf(name) ?? voidText},"address":${table.address(index)}${constant}}`);
  }
  for (const [name, address] of choice.others) {
    writer.entry(name, `{"type":${choice.typeOf(name) ?? voidText},"address":${address}}`);
  }
  writer.end();
  return {
    banner: banner ?? options.banner,
    bannerTold,
    baseTypes: bases.length,
    userTypes: users.size,
    enums: enums.size,
    symbols: symbols.size + choice.others.size,
    remarks: banner === undefined ? [noBanner] : [],
  };
}

const noBanner =
  'The file holds no text of linux_banner, so that Volatility cannot find this ISF by the banner of an image.';

function bannerText(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('utf8', 0, end < 0 ? data.length : end).replace(/\n$/, '');
}
