/** What time it is, by the wall and by a clock that nobody sets. */
export interface Clock {
  wall(): Date;
  monotonicMs(): number;
  /** Calls back once after so many ms of the monotonic clock; gives back what stops it. */
  setTimer(ms: number, body: () => void): () => void;
}

export const systemClock: Clock = {
  wall: () => new Date(),
  monotonicMs: () => performance.now(),
  setTimer: (ms, body) => {
    const timer = setTimeout(body, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** A stretch of the wall's time in which nobody saw to anything. */
export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: 'collector_down' | 'clock_jumped';
}

/** Less is the clock's own drift and its being put right little by little. */
const jumpMs = 2_000;
/** Longer than this is never slept by the scheduler itself. */
const stallMs = 60_000;

/** Notes, look by look, when the wall's clock was put forward or the process did not run. The time before the first look is a gap too. */
export class ClockWatch {
  readonly #clock: Clock;
  #last: { readonly wallMs: number; readonly monotonicMs: number } | undefined;
  #gap: Gap;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#gap = { fromMs: Number.NEGATIVE_INFINITY, toMs: clock.wall().getTime(), reason: 'collector_down' };
  }

  /** Looks at both clocks; `jumpedMs` is by how much the wall's was set, forward or, when it is negative, back. */
  look(): { nowMs: number; jumpedMs: number } {
    const wallMs = this.#clock.wall().getTime();
    const monotonicMs = this.#clock.monotonicMs();
    const last = this.#last;
    this.#last = { wallMs, monotonicMs };
    if (last === undefined) return { nowMs: wallMs, jumpedMs: 0 };
    const sleptMs = monotonicMs - last.monotonicMs;
    const jumpedMs = wallMs - last.wallMs - sleptMs;
    if (jumpedMs >= jumpMs) this.#gap = { fromMs: last.wallMs, toMs: wallMs, reason: 'clock_jumped' };
    else if (sleptMs >= stallMs) this.#gap = { fromMs: last.wallMs, toMs: wallMs, reason: 'collector_down' };
    // A clock that was put back comes to these moments anew, and now somebody is there.
    else if (wallMs < this.#gap.toMs) this.#gap = { ...this.#gap, toMs: wallMs };
    return { nowMs: wallMs, jumpedMs: Math.abs(jumpedMs) >= jumpMs ? jumpedMs : 0 };
  }

  /** Why a moment passed unseen; undefined when somebody was there. */
  missed(atMs: number): Gap['reason'] | undefined {
    return atMs > this.#gap.fromMs && atMs <= this.#gap.toMs ? this.#gap.reason : undefined;
  }
}
