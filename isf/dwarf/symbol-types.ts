import type { SymbolTable } from '../elf/symbol-table.ts';
import { PromotedNames } from '../promoted-names.ts';
import type { AllVariables } from './all-variables.ts';
import type { Names } from './names.ts';
import type { StaticVariables } from './static-variables.ts';
import type { TypeText } from './type-text.ts';
import type { VariableReader } from './variable-reader.ts';

/** Which symbols the ISF has and which variable gives each its type. */
export interface SymbolChoice {
  /** Offsets of the entries of the variables. */
  readonly offsets: Iterable<number>;
  /** Takes the variable at an offset that was asked for, from the last to the first. Throws BadInput. */
  take(offset: number): void;
  /** Text of a symbol's type, undefined for void. */
  typeOf(name: string): string | undefined;
  /** Symbols that are not in the symbol table, with their addresses. */
  readonly others: ReadonlyMap<string, bigint>;
}

/** Index of the last symbol of each name, and of those that link-time optimization renamed by their plain names too. */
export function symbolsByName(table: SymbolTable, likeDwarf2json: boolean): ReadonlyMap<string, number> {
  const byName = new Map<string, number>();
  const promoted = new PromotedNames();
  for (let index = 1; index < table.count; index++) {
    if (!likeDwarf2json && !table.isPlace(index)) continue;
    const name = table.name(index);
    if (name !== '' || likeDwarf2json) byName.set(name, index);
    if (!likeDwarf2json) promoted.note(name);
  }
  for (const [plain, full] of promoted.unambiguous(byName)) byName.set(plain, byName.get(full) as number);
  return byName;
}

/** As dwarf2json: by name alone, and every variable is a symbol. */
export class ByName implements SymbolChoice {
  readonly others = new Map<string, bigint>();
  readonly offsets: readonly number[];
  readonly #types = new Map<string, string>();
  readonly #symbols: ReadonlyMap<string, number>;
  readonly #reader: VariableReader;
  readonly #texts: TypeText;

  constructor(symbols: ReadonlyMap<string, number>, variables: AllVariables, reader: VariableReader, texts: TypeText) {
    this.#symbols = symbols;
    this.#reader = reader;
    this.#texts = texts;
    this.offsets = Array.from(variables.last.entries(), ({ offset }) => offset);
  }

  take(offset: number): void {
    const { name, type } = this.#reader.at(offset);
    if (name === '' || type === 0 || this.#types.has(name)) return;
    this.#types.set(name, this.#texts.of(type) ?? 'null');
    if (!this.#symbols.has(name)) this.others.set(name, this.#reader.address(offset));
  }

  typeOf(name: string): string | undefined {
    return this.#types.get(name);
  }
}

/** What compilers append to the names of symbols that the source calls by the same name. */
const suffix = /(\.(\d+|llvm\.[0-9a-f]+|lto_priv\.\d+))+$/;

/** Symbols, and the variables that may be theirs. */
export interface NamedSymbols {
  /** As `symbolsByName` gives it. */
  readonly symbols: ReadonlyMap<string, number>;
  readonly table: SymbolTable;
  readonly variables: StaticVariables;
  readonly names: Names;
}

/**
 * The symbols of the symbol table, each typed by the variable of its name at its address: the last such if there are several.
 * Where no variable is at the address (it is defined in assembly or by the linker script), by the last one of its name that is
 * external or declared. Variables of functions' frames type nothing. If no variable at all is where its symbol is, the addresses
 * were moved after linking: then the last one of the name at any constant address counts before those that are declared.
 */
export class ByAddress implements SymbolChoice {
  readonly others: ReadonlyMap<string, bigint> = new Map();
  readonly #types = new Map<string, string>();
  readonly #symbolsOf = new Map<number, string[]>();
  readonly #reader: VariableReader;
  readonly #texts: TypeText;

  constructor({ symbols, table, variables, names }: NamedSymbols, reader: VariableReader, texts: TypeText) {
    this.#reader = reader;
    this.#texts = texts;
    const suffixed = new Map<string, string[]>();
    const plains = new Set<string>();
    for (const [name, index] of symbols) {
      if (!name.includes('.')) continue;
      const plain = name.replace(suffix, '');
      if (plain === name) continue;
      plains.add(plain);
      append(suffixed, keyOf(plain, table.addressHigh(index), table.addressLow(index)), name);
    }
    const at = new Map<string, number>();
    const elsewhere = new Map<string, number>();
    for (const { name, offset, addressLow, addressHigh } of variables.definitions()) {
      const text = name === undefined ? reader.completed(offset).name : names.text(name);
      const index = symbols.get(text);
      if (index !== undefined) {
        const isThere = table.addressLow(index) === addressLow && table.addressHigh(index) === addressHigh;
        (isThere ? at : elsewhere).set(text, offset);
      }
      if (!plains.has(text)) continue;
      for (const symbol of suffixed.get(keyOf(text, addressHigh, addressLow)) ?? []) at.set(symbol, offset);
    }
    const declared = new Map<string, number>();
    for (const { low, offset } of variables.declared.entries()) {
      const text = names.text(low);
      if (!symbols.has(text) || at.has(text)) continue;
      // names are numbered twice where they are stored twice
      if ((declared.get(text) ?? 0) < offset) declared.set(text, offset);
    }
    for (const name of symbols.keys()) {
      const offset = at.get(name) ?? (at.size === 0 ? elsewhere.get(name) : undefined) ?? declared.get(name);
      if (offset === undefined) continue;
      const sharing = this.#symbolsOf.get(offset);
      if (sharing) sharing.push(name);
      else this.#symbolsOf.set(offset, [name]);
    }
  }

  get offsets(): Iterable<number> {
    return this.#symbolsOf.keys();
  }

  take(offset: number): void {
    const { type } = this.#reader.completed(offset);
    const text = type === 0 ? undefined : this.#texts.of(type);
    if (text === undefined) return;
    for (const name of this.#symbolsOf.get(offset) ?? []) this.#types.set(name, text);
  }

  typeOf(name: string): string | undefined {
    return this.#types.get(name);
  }
}

function keyOf(name: string, addressHigh: number, addressLow: number): string {
  return `${name} ${addressHigh} ${addressLow}`;
}

function append(map: Map<string, string[]>, key: string, value: string): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}
