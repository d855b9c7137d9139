import type { SymbolSearch } from '../symbols/find.ts';
import type { SymbolsEnd, SymbolsQuality, SymbolsState } from '../symbols/symbols.ts';
import type { NodeSeries } from './node-series.ts';
import { replace, type Scrape } from './scrape.ts';

const ends: readonly SymbolsEnd['kind'][] = ['ready', 'missing', 'mismatch', 'rejected', 'unsupported'];
const states: readonly SymbolsState['kind'][] = [...ends, 'building'];
const qualities: readonly SymbolsQuality[] = ['dwarf', 'btf', 'provided'];

/** Searches for symbols, what is kept, and how the known nodes stand. */
export class SymbolSeries {
  readonly #scrape: Scrape;
  readonly #ends;
  readonly #seconds;

  constructor(scrape: Scrape) {
    this.#scrape = scrape;
    this.#ends = scrape.counter(
      'kcorder_symbols_searches_total',
      'Searches for the symbols of a kernel, by how they ended.',
      ['end'],
    );
    this.#seconds = scrape.histogram(
      'kcorder_symbols_search_duration_seconds',
      "From the question for a kernel's symbols to their state, builds and downloads included.",
      [0.01, 0.1, 0.5, 1, 2, 5, 15, 60, 300],
    );
    for (const end of ends) this.#ends.inc({ end }, 0);
  }

  searched(end: SymbolsEnd['kind'], seconds: number): void {
    this.#ends.inc({ end });
    this.#seconds.observe(seconds);
  }

  /** Adds what the search itself knows. */
  watch(search: SymbolSearch, nodes: NodeSeries): void {
    const byState = this.#scrape.gauge('kcorder_node_symbols', "Nodes by the state of their kernel's symbols.", [
      'state',
    ]);
    const kept = this.#scrape.gauge(
      'kcorder_symbols_kept',
      'Kernels whose symbols are kept, by what these were made of.',
      ['quality'],
    );
    const bytes = this.#scrape.gauge('kcorder_symbols_kept_bytes', 'Bytes of the symbols that are kept.');
    this.#scrape.read(() => {
      const counts = countOf(stateOfNodes(search, nodes));
      replace(
        byState,
        states.map((state) => [{ state }, counts.get(state) ?? 0]),
      );
      const kinds = countOf(search.cache.list().map(({ entry }) => entry.quality));
      replace(
        kept,
        qualities.map((quality) => [{ quality }, kinds.get(quality) ?? 0]),
      );
      bytes.set(search.cache.keptBytes);
    });
  }
}

/** A fleet has many nodes and few kernels: each is asked for once. */
function stateOfNodes(search: SymbolSearch, { entries, current }: NodeSeries): SymbolsState['kind'][] {
  const known = new Map<string, SymbolsState['kind']>();
  return entries
    .filter(({ node }) => current.has(node.name))
    .map(({ node: { kernel } }) => {
      const key = [
        kernel.buildId,
        kernel.banner,
        kernel.release,
        kernel.architecture,
        kernel.cosBuildId,
        kernel.typesDigest,
      ].join('\0');
      const state = known.get(key) ?? search.status(kernel).state.kind;
      known.set(key, state);
      return state;
    });
}

function countOf<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
