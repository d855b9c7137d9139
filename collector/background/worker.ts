import { Fault } from '@kcorder/proto/fault.ts';

/** What a worker does, and what becomes of a step that throws. */
export interface WorkerDeps {
  /** One step. Returns the milliseconds until the next one at the latest, 0 for at once; undefined: only when woken. */
  readonly step: (signal: AbortSignal) => Promise<number | undefined>;
  /** Told of each step that threw before the worker was closed; must not throw. */
  readonly failed: (error: unknown) => void;
  /** Returns the milliseconds until the next step after so many failures in a row; by default 1 s, doubled up to 60 s. */
  readonly retryMs?: (failures: number) => number;
}

/** What setTimeout takes at most, about 25 days. */
const longestMs = 2 ** 31 - 1;

const doubled = (failures: number): number => Math.min(60_000, 1_000 * 2 ** Math.min(failures - 1, 30));

/**
 * Does one thing in the background, one step at a time, from the first wake until it is closed. A step that throws is reported and made again
 * later. Its timers keep no process alive.
 */
export class Worker {
  readonly #deps: WorkerDeps;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #isWoken = false;
  #endRest: () => void = () => undefined;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
  }

  /** Aborted with `unavailable` once it is closed. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** A step will begin after this call, at once unless one is being made. Ends a wait after a failure too. */
  wake(): void {
    this.#isWoken = true;
    this.#endRest();
    if (!this.signal.aborted) this.#running ??= this.#run();
  }

  /** Aborts the step that is being made and resolves when it has ended; never call it from a step. No step begins afterwards. */
  async close(): Promise<void> {
    this.#ending.abort(new Fault('unavailable', 'the collector is ending'));
    this.#endRest();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (true) {
      // Never in the turn of who wakes it, who may be in the middle of a change; and others get their turn between two steps.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.signal.aborted) return;
      this.#isWoken = false;
      let restMs: number | undefined;
      try {
        restMs = await this.#deps.step(this.signal);
        failures = 0;
      } catch (error) {
        if (this.signal.aborted) return;
        failures += 1;
        this.#tell(error);
        restMs = (this.#deps.retryMs ?? doubled)(failures);
      }
      await this.#rest(restMs);
    }
  }

  /** Whoever is told must not be the end of the worker. */
  #tell(error: unknown): void {
    try {
      this.#deps.failed(error);
    } catch {
      // It was to be told, and there is nobody else to tell.
    }
  }

  async #rest(ms: number | undefined): Promise<void> {
    if (this.#isWoken || this.signal.aborted || (ms !== undefined && ms <= 0)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endRest = resolve;
    const timer = ms === undefined ? undefined : setTimeout(resolve, Math.min(ms, longestMs)).unref();
    await promise;
    clearTimeout(timer);
  }
}
