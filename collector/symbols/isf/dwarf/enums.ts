import type { BaseType } from './base-types.ts';
import type { Budget } from './budget.ts';
import type { GoNames } from './go-names.ts';
import type { TypeNode } from './type-node.ts';

/** An ISF's enums. */
export class Enums {
  readonly #integers: readonly BaseType[];
  readonly #names: GoNames;
  readonly #budget: Budget;
  readonly #likeDwarf2json: boolean;
  readonly #texts = new Map<string, string>();
  readonly #declared = new Map<string, string>();

  constructor(bases: readonly BaseType[], names: GoNames, budget: Budget, likeDwarf2json: boolean) {
    this.#budget = budget;
    this.#names = names;
    this.#likeDwarf2json = likeDwarf2json;
    this.#integers = bases
      .filter((base) => base.kind === 'int' && (likeDwarf2json || base.isInteger))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
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

  /**
   * The first integer type, by name, that has the size and sign. dwarf2json knows only those that were described before the
   * enumeration, and takes pointers and complex numbers for integers.
   */
  #baseOf(node: TypeNode, signed: boolean): string {
    const size = node.byteSize ?? -1;
    const fits = (base: BaseType) =>
      base.sizeBytes === size && base.signed === signed && (!this.#likeDwarf2json || base.offset < node.offset);
    return this.#integers.find(fits)?.name ?? 'void';
  }
}
