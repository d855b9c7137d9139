import type { Child } from './child.ts';
import type { AnalysisLimits } from './limits.ts';
import { residentBytes, residentBytesOfTree } from './process-tree.ts';

const memoryPollMs = 250;

/** Why we killed a run, or a worker: timeout, out_of_memory, output_limit, protocol, image_unreadable, or what it said itself. */
export interface Stop {
  readonly reason: string;
  readonly detail: string;
}

/** A process of the run that can be ended alone. */
export interface Watched {
  readonly pid: number | undefined;
  stop(why: Stop): void;
}

/** Holds one run to its limits on time and memory, and kills it when it passes one or the signal is aborted. */
export class Watch {
  readonly #child: Child;
  readonly #limits: AnalysisLimits;
  readonly #memoryTimer: NodeJS.Timeout;
  readonly #endTimer: NodeJS.Timeout;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  #stepTimer: NodeJS.Timeout | undefined;
  #stopped: Stop | undefined;
  #workers: readonly Watched[] = [];

  /** `wallMs` is what is left of the whole analysis' time. Ends the run, too, when what it prepares takes longer than a plugin may. */
  constructor(child: Child, limits: AnalysisLimits, wallMs: number, signal: AbortSignal) {
    this.#child = child;
    this.#limits = limits;
    this.#signal = signal;
    this.#onAbort = () => child.kill();
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) child.kill();
    const whole = `the whole analysis reached its limit of ${limits.wallMs / 1000} s`;
    this.#endTimer = setTimeout(() => this.stop('timeout', whole), wallMs);
    this.#memoryTimer = setInterval(() => void this.#checkMemory(), memoryPollMs);
    this.#stepTimer = this.step(({ reason, detail }) => this.stop(reason, detail));
  }

  /** The first limit that was passed. */
  get stopped(): Stop | undefined {
    return this.#stopped;
  }

  /** What was to be prepared is, and these will read the image. */
  prepared(workers: readonly Watched[]): void {
    clearTimeout(this.#stepTimer);
    this.#workers = workers;
  }

  /** Starts the time of one step: opening the kernel, or a plugin. The timer is the caller's. */
  step(tooLong: (why: Stop) => void): NodeJS.Timeout {
    const { pluginWallMs } = this.#limits;
    const detail = `one step took longer than its limit of ${pluginWallMs / 1000} s`;
    return setTimeout(tooLong, pluginWallMs, { reason: 'timeout', detail });
  }

  stop(reason: string, detail: string): void {
    this.#stopped ??= { reason, detail };
    this.#child.kill();
  }

  end(): void {
    clearTimeout(this.#stepTimer);
    clearTimeout(this.#endTimer);
    clearInterval(this.#memoryTimer);
    this.#signal.removeEventListener('abort', this.#onAbort);
  }

  /** Workers are forks of the process that started them: what they had from it is counted once. The largest is the first to be too many. */
  async #checkMemory(): Promise<void> {
    const { memoryBytes } = this.#limits;
    const sharedBytes = await residentBytes(this.#child.pid);
    let bytes = sharedBytes;
    let largest: { readonly worker: Watched; readonly bytes: number } | undefined;
    for (const worker of this.#workers) {
      if (worker.pid === undefined) continue;
      const own = (await residentBytesOfTree(worker.pid)) - sharedBytes;
      if (own <= 0) continue;
      bytes += own;
      if (largest === undefined || own > largest.bytes) largest = { worker, bytes: own };
    }
    if (bytes <= memoryBytes) return;
    const detail = `the runner used ${bytes} of ${memoryBytes} bytes of memory`;
    if (largest === undefined) this.stop('out_of_memory', detail);
    else largest.worker.stop({ reason: 'out_of_memory', detail });
  }
}
