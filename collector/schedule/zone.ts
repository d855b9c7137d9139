const dayMs = 24 * 3_600_000;
/** More than any offset. Within it, the clocks of a zone are taken to change once at most. */
export const windowMs = 26 * 3_600_000;

/** The clocks of a time zone, by the data that Node was built with. Times in ms since 1970; readings are what a clock there shows, as if it were UTC. */
export class Zone {
  readonly #format: Intl.DateTimeFormat;

  /** Throws RangeError for a zone that does not exist. */
  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
  }

  /** Reading minus time. */
  offsetMs(atMs: number): number {
    // 03/29/2026, 02:30:00
    const text = this.#format.format(atMs);
    const part = (from: number, to: number): number => Number(text.slice(from, to));
    const time = [part(-8, -6), part(-5, -3), part(-2, text.length)] as const;
    return Date.UTC(part(6, 10), part(0, 2) - 1, part(3, 5), ...time) - Math.floor(atMs / 1000) * 1000;
  }

  /** The first moment after `afterMs` and up to `upToMs`, at most two days apart, from which on another offset holds. */
  change(afterMs: number, upToMs: number): number | undefined {
    const before = this.offsetMs(afterMs);
    if (this.offsetMs(upToMs) === before) return undefined;
    let low = Math.floor(afterMs / 1000);
    let high = Math.ceil(upToMs / 1000);
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.offsetMs(middle * 1000) === before) low = middle;
      else high = middle;
    }
    return high * 1000;
  }

  /** The first time that the clocks come to a reading; where they leap over it, the moment of the leap. */
  firstTimeOf(readingMs: number): number {
    // Readings are less than a day off, so the offset that holds is that of a day before or of a day after.
    const before = this.offsetMs(readingMs - dayMs);
    const after = this.offsetMs(readingMs + dayMs);
    if (before === after) return readingMs - before;
    const times = [readingMs - before, readingMs - after].filter((time) => time + this.offsetMs(time) === readingMs);
    if (times.length > 0) return Math.min(...times);
    return this.change(readingMs - dayMs, readingMs + dayMs) ?? readingMs - before;
  }
}
