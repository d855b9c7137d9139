import type { KernelIdentity, SourceName, SourceReport, SymbolsState } from './symbols.ts';

const maxKernels = 2_000;

/** What is known of one kernel's search while it runs and after. */
export class KernelStatus {
  readonly kernel: KernelIdentity;
  readonly #reports: Map<SourceName, SourceReport>;
  /** Under which the symbols are kept, when ready. */
  key = '';
  state: SymbolsState = { kind: 'building', step: 'waiting for its turn', doneBytes: 0, totalBytes: 0 };

  constructor(kernel: KernelIdentity, sources: readonly { readonly name: SourceName; readonly configured: boolean }[]) {
    this.kernel = kernel;
    const report = (name: SourceName, configured: boolean): [SourceName, SourceReport] => [
      name,
      { name, state: configured ? 'not_asked' : 'not_configured', detail: '' },
    ];
    this.#reports = new Map([
      report('cache', true),
      ...sources.map(({ name, configured }) => report(name, configured)),
    ]);
  }

  get reports(): readonly SourceReport[] {
    return [...this.#reports.values()];
  }

  report(name: SourceName, state: SourceReport['state'], detail: string): void {
    this.#reports.set(name, { name, state, detail, askedAt: new Date().toISOString() });
  }

  remembered(
    name: SourceName,
    state: SourceReport['state'],
    detail: string,
    askedAt: string,
    rememberedUntil: string,
  ): void {
    this.#reports.set(name, { name, state, detail, askedAt, rememberedUntil });
  }

  step(step: string, doneBytes = 0, totalBytes = 0): void {
    this.state = { kind: 'building', step, doneBytes, totalBytes };
  }
}

/** The latest searches, one a kernel; the oldest are forgotten beyond 2,000. */
export class Statuses {
  readonly #statuses = new Map<string, KernelStatus>();

  get(key: string): KernelStatus | undefined {
    return this.#statuses.get(key);
  }

  put(key: string, status: KernelStatus): void {
    this.#statuses.delete(key);
    this.#statuses.set(key, status);
    const [oldest] = this.#statuses.keys();
    if (this.#statuses.size > maxKernels && oldest !== undefined) this.#statuses.delete(oldest);
  }

  forget(key: string): void {
    this.#statuses.delete(key);
  }

  list(): readonly KernelStatus[] {
    return [...this.#statuses.values()];
  }
}
