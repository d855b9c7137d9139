/** How long, the first time and at most, in milliseconds: for one capture, for all, and while somebody reads. */
export interface Pauses {
  readonly capture: Pause;
  readonly all: Pause;
  readonly readMs: number;
  /** After an image was found to be damaged: it is read as a whole each time. */
  readonly damagedMs: number;
}

interface Pause {
  readonly first: number;
  readonly most: number;
}

const usual: Pauses = {
  capture: { first: 5_000, most: 3_600_000 },
  all: { first: 1_000, most: 600_000 },
  readMs: 30_000,
  damagedMs: 86_400_000,
};

/**
 * When to try again: each capture has a pause of its own, which grows, so that one that cannot be stored holds up no other; and after any failure
 * there is one for all, since it may be the store. By the monotonic clock.
 */
export class RetrySchedule {
  readonly #captures = new Map<string, { readonly failures: number; readonly untilMs: number }>();
  readonly #pauses: Pauses;
  #failures = 0;
  #untilMs = 0;

  constructor(pauses: Pauses = usual) {
    this.#pauses = pauses;
  }

  failed(captureId: string, isDamaged = false): void {
    const failures = (this.#captures.get(captureId)?.failures ?? 0) + 1;
    const pauseMs = isDamaged ? this.#pauses.damagedMs : pause(this.#pauses.capture, failures);
    this.#captures.set(captureId, { failures, untilMs: performance.now() + pauseMs });
    this.#failures += 1;
    this.#untilMs = performance.now() + pause(this.#pauses.all, this.#failures);
  }

  succeeded(captureId: string): void {
    if ((this.#captures.get(captureId)?.failures ?? 1) > 0) this.#captures.delete(captureId);
    this.#failures = 0;
    this.#untilMs = 0;
  }

  /** Not a failure, but not now. */
  later(captureId: string): void {
    this.#captures.set(captureId, { failures: 0, untilMs: performance.now() + this.#pauses.readMs });
  }

  /** Until anything may be tried. */
  pauseMs(): number {
    return Math.max(0, this.#untilMs - performance.now());
  }

  /** Until something else may be tried than now; infinite when nothing waits. */
  nextMs(): number {
    const untilMs = [this.#untilMs, ...[...this.#captures.values()].map((capture) => capture.untilMs)];
    return Math.min(...untilMs.map((until) => until - performance.now()).filter((ms) => ms > 0));
  }

  /** Captures that are not to be tried yet. */
  waiting(): ReadonlySet<string> {
    const now = performance.now();
    return new Set([...this.#captures].flatMap(([captureId, { untilMs }]) => (untilMs > now ? captureId : [])));
  }
}

const pause = ({ first, most }: Pause, failures: number): number =>
  Math.min(most, first * 2 ** Math.min(failures - 1, 30));
