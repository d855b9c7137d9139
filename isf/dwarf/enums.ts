import { EnumBases } from '../enum-bases.ts';
import type { DescribedBase } from './base-types.ts';
import type { Budget } from './budget.ts';
import type { GoNames } from './go-names.ts';
import type { TypeNode } from './type-node.ts';

/** An ISF's enums. */
export class Enums {
  readonly #described: readonly DescribedBase[];
  readonly bases: EnumBases;
  readonly #names: GoNames;
  readonly #budget: Budget;
  readonly #likeDwarf2json: boolean;
  readonly #texts = new Map<string, string>();
  readonly #declared = new Map<string, string>();

  constructor(described: readonly DescribedBase[], names: GoNames, budget: Budget, likeDwarf2json: boolean) {
    this.#budget = budget;
    this.#names = names;
    this.#likeDwarf2json = likeDwarf2json;
    this.#described = described.filter(({ kind }) => kind === 'int').sort((a, b) => (a.name < b.name ? -1 : 1));
    this.bases = new EnumBases(
      described.filter(({ isInteger }) => isInteger),
      new Set(described.map(({ name }) => name)),
    );
  }

  get size(): number {
    return this.texts().size;
  }

  /**
   * Takes the enumerations from the last to the first. In dwarf2json a mere declaration replaces the definition before it; here
   * it counts only where there is no definition.
   */
  take(node: TypeNode): void {
    const texts = node.declared && !this.#likeDwarf2json ? this.#declared : this.#texts;
    const name = this.#names.of(node);
    if (!texts.has(name)) texts.set(name, this.#text(node));
  }

  texts(): ReadonlyMap<string, string> {
    return new Map([...this.#declared, ...this.#texts]);
  }

  #text(node: TypeNode): string {
    const constants = new Map<string, number | bigint>();
    let signed = false;
    for (const [name, value] of node.enumerators) {
      constants.set(name, value);
      if (value < 0) signed = true;
    }
    // joined, for a text that was added up takes several times the memory for as long as it is kept
    const text = Array.from(constants, ([name, value]) => `${JSON.stringify(name)}:${value}`).join(',');
    const base = JSON.stringify(this.#baseOf(node, signed));
    this.#budget.spend(text.length, node.offset);
    return `{"size":${Math.max(0, node.byteSize ?? 0)},"base":${base},"constants":{${text}}}`;
  }

  /** dwarf2json knows only what was described before, pointers and complex numbers too, and no characters. */
  #baseOf(node: TypeNode, signed: boolean): string {
    const size = node.byteSize ?? -1;
    if (!this.#likeDwarf2json) return this.bases.of(size, signed);
    const fits = (base: DescribedBase) =>
      base.sizeBytes === size && base.signed === signed && base.offset < node.offset;
    return this.#described.find(fits)?.name ?? 'void';
  }
}
