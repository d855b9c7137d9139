import type { ListedSource } from './sources/source.ts';
import type { KernelIdentity, SourceReport, SymbolsState } from './symbols.ts';

const maxKernels = 2_000;
/** UTF-16 units of all that is known, some of it twice. */
const maxUnits = 8 << 20;
/** Of one report: a node's words and names of files come into it. */
const maxDetail = 2_048;

/** What is known of one kernel's search while it runs and after. */
export class KernelStatus {
  readonly kernel: KernelIdentity;
  readonly #reports: Map<string, SourceReport>;
  /** Under which the symbols are kept, when ready. */
  key = '';
  state: SymbolsState = { kind: 'building', step: 'waiting for its turn', doneBytes: 0, totalBytes: 0 };

  constructor(kernel: KernelIdentity, sources: readonly Pick<ListedSource, 'name' | 'source'>[]) {
    this.kernel = kernel;
    const reports = sources.map(({ name, source }): SourceReport => {
      return { name, state: source === undefined ? 'not_configured' : 'not_asked', detail: '' };
    });
    const cache: SourceReport = { name: 'cache', state: 'not_asked', detail: '' };
    this.#reports = new Map([cache, ...reports].map((report) => [report.name, report]));
  }

  get reports(): readonly SourceReport[] {
    return [...this.#reports.values()];
  }

  /** About how much it holds, in UTF-16 units. */
  get units(): number {
    const { state, kernel } = this;
    const texts = [...Object.values(kernel), ...Object.values(state).flat()];
    return this.reports.reduce((sum, { detail }) => sum + detail.length + 200, texts.reduce(sumOfTexts, 200));
  }

  report(name: string, state: SourceReport['state'], detail: string): void {
    this.#reports.set(name, { name, state, detail: short(detail), askedAt: new Date().toISOString() });
  }

  remembered(
    name: string,
    state: SourceReport['state'],
    detail: string,
    askedAt: string,
    rememberedUntil: string,
  ): void {
    this.#reports.set(name, { name, state, detail: short(detail), askedAt, rememberedUntil });
  }

  step(step: string, doneBytes = 0, totalBytes = 0): void {
    this.state = { kind: 'building', step, doneBytes, totalBytes };
  }
}

const sumOfTexts = (sum: number, value: unknown): number => sum + (typeof value === 'string' ? value.length : 8);

const short = (detail: string): string => (detail.length <= maxDetail ? detail : `${detail.slice(0, maxDetail)}…`);

/** The latest searches, one a kernel; the oldest are forgotten beyond 2,000 of them, or beyond some 16 MB. */
export class Statuses {
  readonly #statuses = new Map<string, KernelStatus>();

  get(key: string): KernelStatus | undefined {
    return this.#statuses.get(key);
  }

  put(key: string, status: KernelStatus): void {
    this.#statuses.delete(key);
    this.#statuses.set(key, status);
    let units = 0;
    // From the newest on, since a search that has ended holds more than when it began.
    for (const [index, [id, each]] of [...this.#statuses].reverse().entries()) {
      units += each.units;
      if (index >= maxKernels || (units > maxUnits && index > 0)) this.#statuses.delete(id);
    }
  }

  forget(key: string): void {
    this.#statuses.delete(key);
  }

  list(): readonly KernelStatus[] {
    return [...this.#statuses.values()];
  }
}
