import type { Child } from './child.ts';
import type { AnalysisLimits } from './limits.ts';
import { residentBytes } from './process-tree.ts';

const memoryPollMs = 250;

/** Why we killed a run. */
export type StopReason = 'timeout' | 'out_of_memory' | 'output_limit' | 'protocol' | 'image_unreadable';

/** Holds one run to its limits on time and memory, and kills it when it passes one or the signal is aborted. */
export class Watch {
  readonly #child: Child;
  readonly #limits: AnalysisLimits;
  readonly #memoryTimer: NodeJS.Timeout;
  readonly #endTimer: NodeJS.Timeout;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  #stepTimer: NodeJS.Timeout | undefined;
  #stopped: { readonly reason: StopReason; readonly detail: string } | undefined;

  /** `wallMs` is what is left of the whole analysis' time. */
  constructor(child: Child, limits: AnalysisLimits, wallMs: number, signal: AbortSignal) {
    this.#child = child;
    this.#limits = limits;
    this.#signal = signal;
    this.#onAbort = () => child.kill();
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) child.kill();
    this.#endTimer = setTimeout(
      () => this.stop('timeout', `the whole analysis reached its limit of ${limits.wallMs / 1000} s`),
      wallMs,
    );
    this.#memoryTimer = setInterval(() => void this.#checkMemory(), memoryPollMs);
    this.nextStep();
  }

  /** The first limit that was passed. */
  get stopped(): { readonly reason: StopReason; readonly detail: string } | undefined {
    return this.#stopped;
  }

  /** Starts the time of one step anew: loading the kernel, or a plugin. */
  nextStep(): void {
    clearTimeout(this.#stepTimer);
    const { pluginWallMs } = this.#limits;
    this.#stepTimer = setTimeout(
      () => this.stop('timeout', `one step took longer than its limit of ${pluginWallMs / 1000} s`),
      pluginWallMs,
    );
  }

  stop(reason: StopReason, detail: string): void {
    this.#stopped ??= { reason, detail };
    this.#child.kill();
  }

  end(): void {
    clearTimeout(this.#stepTimer);
    clearTimeout(this.#endTimer);
    clearInterval(this.#memoryTimer);
    this.#signal.removeEventListener('abort', this.#onAbort);
  }

  async #checkMemory(): Promise<void> {
    const { memoryBytes } = this.#limits;
    const bytes = await residentBytes(this.#child.pid);
    if (bytes > memoryBytes) this.stop('out_of_memory', `the runner used ${bytes} of ${memoryBytes} bytes of memory`);
  }
}
