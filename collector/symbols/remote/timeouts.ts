/** How long and how often a place is tried. */
export interface Timeouts {
  /** From the request to the header of the answer, connecting included. */
  readonly headersMs: number;
  /** Without a byte of a body. */
  readonly idleMs: number;
  /** For everything, retries and pauses included. */
  readonly wallMs: number;
  /** Tries in a row that bring nothing on. */
  readonly attempts: number;
  /** Pause before the second try, doubled for each further one up to `backoffLimitMs`. */
  readonly backoffMs: number;
  readonly backoffLimitMs: number;
  /** Longest Retry-After that is honoured; a longer one counts as this. */
  readonly retryAfterLimitMs: number;
}

export const defaultTimeouts: Timeouts = {
  headersMs: 30_000,
  idleMs: 30_000,
  wallMs: 600_000,
  attempts: 4,
  backoffMs: 500,
  backoffLimitMs: 15_000,
  retryAfterLimitMs: 60_000,
};

/** A place that failed. `transient`: asking again later may help. */
export interface Failed {
  readonly kind: 'failed';
  /** A clause for people. */
  readonly reason: string;
  readonly transient: boolean;
}

/** Runs work that ends as `failed` after `wallMs`. Throws the signal's reason, and whatever else the work throws. */
export async function withinWall<T>(
  wallMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | Failed> {
  signal.throwIfAborted();
  const wall = new AbortController();
  const late = new Error('the wall time is over');
  const timer = setTimeout(() => wall.abort(late), wallMs);
  try {
    return await work(AbortSignal.any([signal, wall.signal]));
  } catch (error) {
    signal.throwIfAborted();
    if (error !== late) throw error;
    return { kind: 'failed', reason: `did not end within ${wallMs / 1000} s`, transient: true };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Pause before the next try: exponential with full jitter above one half, so that many collectors do not come back at the same moment, or what
 * Retry-After asked for. `failures` is 1 after the first.
 */
export function pauseMs(failures: number, retryAfterMs: number | undefined, timeouts: Timeouts): number {
  const ceilingMs = Math.min(timeouts.backoffMs * 2 ** (failures - 1), timeouts.backoffLimitMs);
  const ownMs = ceilingMs * (0.5 + Math.random() / 2);
  return Math.max(ownMs, Math.min(retryAfterMs ?? 0, timeouts.retryAfterLimitMs));
}

/** Retry-After (RFC 9110 section 10.2.3), seconds or a date, in milliseconds from now; undefined when there is none that makes sense. */
export function parseRetryAfter(text: string | null, nowMs: number): number | undefined {
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}
