import type { NotFound } from './sources/source.ts';
import type { KernelIdentity, SymbolsEnd } from './symbols.ts';

const maxLooked = 50;

/** What a search has come upon that was of no use, until its end. */
export class Lookups {
  readonly #looked: string[] = [];
  #mismatch: string | undefined;
  readonly #rejected: string[] = [];

  add({ looked, mismatch, rejected }: NotFound): void {
    this.#looked.push(...looked);
    this.#mismatch ??= mismatch;
    if (rejected !== undefined) this.#rejected.push(rejected);
  }

  /** The search's end when nothing fits. */
  end(kernel: KernelIdentity, firstDirectory: string | undefined): SymbolsEnd {
    const advice = adviceFor(kernel, firstDirectory);
    if (this.#mismatch !== undefined) return { kind: 'mismatch', detail: `${this.#mismatch}. ${advice}` };
    if (this.#rejected.length > 0) {
      const rejected = this.#rejected.slice(0, maxLooked).join('; ');
      return { kind: 'rejected', detail: `${rejected}, and nothing else fits the node's kernel. ${advice}` };
    }
    const rest = this.#looked.length - maxLooked;
    const looked = rest > 0 ? [...this.#looked.slice(0, maxLooked), `and ${rest} more`] : this.#looked;
    return { kind: 'missing', looked, advice };
  }
}

function adviceFor(kernel: KernelIdentity, firstDirectory: string | undefined): string {
  const where = firstDirectory ?? 'a directory and name it in KCORDER_SYMBOL_DIRS';
  const what = kernel.buildId === '' ? '' : `the vmlinux with debugging information of build-id ${kernel.buildId}, or `;
  return `Put ${what}an ISF whose banner is "${kernel.banner}", with at most one more group in parentheses at its end, into ${where}, or import the ISF with 'kcorder symbols import'; then capture again.`;
}
