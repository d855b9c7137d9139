interface Sample {
  readonly atMs: number;
  readonly bytes: number;
  /** Part of the work that is done, 0 to 1. */
  readonly done: number;
}

/** Speed and the time left, over the last seconds. */
export interface Meter {
  add(atMs: number, bytes: number, done: number): void;
  /** Bytes per second; undefined until it can be told. */
  rate(nowMs: number): number | undefined;
  /** Milliseconds to the end; undefined while nothing moves. */
  leftMs(nowMs: number): number | undefined;
}

const windowMs = 10_000;
const shortestMs = 500;
const silenceMs = 3000;

/** A meter without samples. */
export function createMeter(): Meter {
  let samples: Sample[] = [];
  const span = (nowMs: number): { first: Sample; last: Sample; ms: number } | undefined => {
    const startMs = nowMs - windowMs;
    // The last sample before the window tells how things stood when it began.
    const before = samples.findLastIndex(({ atMs }) => atMs <= startMs);
    if (before > 0) samples = samples.slice(before);
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    // Between two reports nothing is known: only a long silence counts as standing still.
    const endMs = nowMs - last.atMs > silenceMs ? nowMs : last.atMs;
    const ms = endMs - Math.max(first.atMs, startMs);
    return ms < shortestMs ? undefined : { first, last, ms };
  };
  return {
    add: (atMs, bytes, done) => {
      samples.push({ atMs, bytes, done });
    },
    rate: (nowMs) => {
      const moved = span(nowMs);
      return moved === undefined ? undefined : ((moved.last.bytes - moved.first.bytes) / moved.ms) * 1000;
    },
    leftMs: (nowMs) => {
      const moved = span(nowMs);
      if (moved === undefined || moved.last.done <= moved.first.done) return undefined;
      return ((1 - moved.last.done) / (moved.last.done - moved.first.done)) * moved.ms;
    },
  };
}
