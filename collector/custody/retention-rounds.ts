import { Fault } from '@kcorder/proto/fault.ts';
import { Worker } from '../background/worker.ts';
import type { RetentionRecord } from '../store/storage-record.ts';
import { type Expired, expired, type RetentionRules } from './retention.ts';

/** The wall clock and one that nobody sets, both in milliseconds. */
export interface Clocks {
  wallMs(): number;
  monotonicMs(): number;
}

export interface RetentionDeps {
  readonly queue: {
    makers(): readonly { readonly schedule: string; readonly nodeName: string }[];
    madeBy(schedule: string, nodeName: string): RetentionRecord[];
    newestMoment(): string;
  };
  readonly deletions: {
    delete(captureId: string, actor: string, reason: string): Promise<void>;
    goOn(signal: AbortSignal): Promise<void>;
  };
  rules(): RetentionRules;
  readonly events: {
    /** Something stands in the way of a deletion; it is tried again. */
    retentionFailed(captureId: string, error: unknown): void;
    /** The clock was set, by so much: what is old by it alone stays for a day. */
    clockMoved(byMs: number): void;
  };
}

const systemClocks: Clocks = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

const everyMs = 600_000;
/** A round looks through everything, so images that come in quick succession share one. */
const soonestMs = 60_000;
const mostInARound = 200;
const clockSlackMs = 3_600_000;
const dayMs = 86_400_000;
/** What a store keeps by a retention of its own is tried again when that is over, and not sooner than in this time. */
const againMs = 6 * 3_600_000;

/**
 * Deletes what retention gives up, some hundred images a round at most, oldest first, by the same way as a person's delete. A clock that jumps must not
 * wipe evidence without a word: when the wall clock has moved by over an hour more or less than the monotonic one since the last round, or is over a
 * day past everything that is on record when the collector starts, nothing goes by its age for a day, and that is told.
 */
export class Retention {
  readonly #deps: RetentionDeps;
  readonly #clocks: Clocks;
  readonly #worker: Worker;
  readonly #notBefore = new Map<string, number>();
  readonly #newestMs: number;
  #last: { readonly wallMs: number; readonly monotonicMs: number } | undefined;
  #agesFromMs = Number.NEGATIVE_INFINITY;
  /** By the monotonic clock: when the next round may begin. */
  #roundFromMs = Number.NEGATIVE_INFINITY;

  constructor(deps: RetentionDeps, clocks: Clocks = systemClocks) {
    this.#deps = deps;
    this.#clocks = clocks;
    // Before anything that this run puts on record.
    this.#newestMs = Date.parse(deps.queue.newestMoment());
    this.#worker = new Worker({
      step: () => this.#step(),
      failed: (error) => deps.events.retentionFailed('', error),
      retryMs: () => everyMs,
    });
  }

  start(): void {
    this.#worker.wake();
  }

  /** An image was stored, so another may have to go. */
  wake(): void {
    this.#worker.wake();
  }

  async close(): Promise<void> {
    await this.#worker.close();
  }

  /** A round, unless it is too soon for one. Returns the milliseconds until the next. */
  async #step(): Promise<number> {
    const soonMs = this.#roundFromMs - this.#clocks.monotonicMs();
    if (soonMs > 0) return soonMs;
    try {
      await this.round();
    } finally {
      this.#roundFromMs = this.#clocks.monotonicMs() + soonestMs;
    }
    return everyMs;
  }

  /** Finishes what deletions are on record, then deletes what is expired. */
  async round(): Promise<void> {
    const { signal } = this.#worker;
    await this.#deps.deletions.goOn(signal);
    const agesCount = this.#agesCount();
    const found = await this.#find(agesCount);
    const oldest = found.sort((a, b) => a.sequence - b.sequence).slice(0, mostInARound);
    for (const { captureId, reason } of oldest) {
      if (signal.aborted || !(await this.#delete(captureId, reason))) return;
    }
  }

  /** False when it makes no sense to go on with others now. */
  async #delete(captureId: string, reason: string): Promise<boolean> {
    try {
      await this.#deps.deletions.delete(captureId, 'retention', reason);
      return true;
    } catch (error) {
      const { code, message } = Fault.from(error);
      // Somebody was quicker: that is how it should be.
      if (code === 'evidence_held' || code === 'capture_running') return true;
      this.#deps.events.retentionFailed(captureId, error);
      if (code !== 'evidence_retained') return false;
      this.#notBefore.set(captureId, this.#clocks.monotonicMs() + this.#untilMs(message));
      return true;
    }
  }

  /** How long the store keeps it, by the time in its words; a day when there is none. */
  #untilMs(message: string): number {
    const until = Date.parse(/\d{4}-\d\d-\d\dT[\d:.]+Z/.exec(message)?.[0] ?? '') - this.#clocks.wallMs();
    return Number.isNaN(until) ? dayMs : Math.max(againMs, until);
  }

  async #find(agesCount: boolean): Promise<Expired[]> {
    const { queue } = this.#deps;
    const rules = this.#deps.rules();
    const [wallMs, monotonicMs] = [this.#clocks.wallMs(), this.#clocks.monotonicMs()];
    for (const [captureId, fromMs] of this.#notBefore) if (fromMs <= monotonicMs) this.#notBefore.delete(captureId);
    const found: Expired[] = [];
    for (const { schedule, nodeName } of queue.makers()) {
      if (this.#worker.signal.aborted) return [];
      const isRuled = schedule === '' ? rules.retentionMs > 0 : rules.schedules.has(schedule);
      if (!isRuled) continue;
      found.push(...expired(queue.madeBy(schedule, nodeName), rules, wallMs));
      // Thousands of nodes are not looked through in one go.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return found.filter(({ captureId, byAge }) => (agesCount || !byAge) && !this.#notBefore.has(captureId));
  }

  /** Whether the wall clock can be believed. */
  #agesCount(): boolean {
    const [wallMs, monotonicMs] = [this.#clocks.wallMs(), this.#clocks.monotonicMs()];
    const movedMs =
      this.#last === undefined
        ? this.#movedWhileDown(wallMs)
        : wallMs - this.#last.wallMs - (monotonicMs - this.#last.monotonicMs);
    this.#last = { wallMs, monotonicMs };
    if (Math.abs(movedMs) > clockSlackMs) {
      this.#agesFromMs = monotonicMs + dayMs;
      this.#deps.events.clockMoved(movedMs);
    }
    return monotonicMs >= this.#agesFromMs;
  }

  /** A collector may have been down for a day, a longer time is taken for a clock that was set: then nothing is lost but a day. */
  #movedWhileDown(wallMs: number): number {
    const sinceMs = Number.isNaN(this.#newestMs) ? 0 : wallMs - this.#newestMs;
    return sinceMs > dayMs || sinceMs < 0 ? sinceMs : 0;
  }
}
