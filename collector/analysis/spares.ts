import type { JobSymbols } from './analysis.ts';
import type { Runner } from './runner.ts';

export type SpareSymbols = Pick<JobSymbols, 'isfPath' | 'isfSha256'>;

interface Spare {
  readonly isfSha256: string;
  readonly runner: Promise<Runner>;
  readonly timer: NodeJS.Timeout;
}

/**
 * Keeps runners ready that have loaded the symbols of a kernel, have read no image and wait for one. Each is given away once, or ends when nobody
 * has wanted it.
 */
export class Spares {
  readonly #start: (symbols: SpareSymbols) => Promise<Runner>;
  readonly #most: number;
  readonly #idleMs: number;
  /** The one that was wanted last is at the end. */
  #spares: readonly Spare[] = [];
  readonly #ending = new Set<Promise<void>>();
  #closed = false;

  constructor(start: (symbols: SpareSymbols) => Promise<Runner>, most: number, idleMs: number) {
    this.#start = start;
    this.#most = most;
    this.#idleMs = idleMs;
  }

  /** Sees to it that there is one for this kernel. */
  keep(symbols: SpareSymbols): void {
    if (this.#closed || this.#most === 0) return;
    const { isfSha256 } = symbols;
    const there = this.#remove((spare) => spare.isfSha256 === isfSha256);
    const runner = there?.runner ?? this.#start(symbols);
    runner.catch(() => {});
    const timer = setTimeout(() => this.#end(this.#remove((spare) => spare.timer === timer)), this.#idleMs).unref();
    this.#spares = [...this.#spares, { isfSha256, runner, timer }];
    if (this.#spares.length > this.#most) this.#end(this.#remove(() => true));
  }

  /** Gives away the one for this kernel, whether it has loaded its symbols yet or not. */
  async take({ isfSha256 }: SpareSymbols): Promise<Runner | undefined> {
    const spare = this.#remove((each) => each.isfSha256 === isfSha256);
    const runner = await spare?.runner.catch(() => undefined);
    if (runner?.gone !== true) return runner;
    await runner[Symbol.asyncDispose]();
    return undefined;
  }

  /** Ends all; resolves when they are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#spares.length > 0) this.#end(this.#remove(() => true));
    await Promise.all(this.#ending);
  }

  /** The first that fits. */
  #remove(fits: (spare: Spare) => boolean): Spare | undefined {
    const spare = this.#spares.find(fits);
    this.#spares = this.#spares.filter((each) => each !== spare);
    clearTimeout(spare?.timer);
    return spare;
  }

  #end(spare: Spare | undefined): void {
    if (spare === undefined) return;
    const ended = spare.runner
      .then((runner) => runner[Symbol.asyncDispose]())
      .catch(() => {})
      .finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }
}
