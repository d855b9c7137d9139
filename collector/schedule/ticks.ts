import { Cron } from 'croner';
import { entryProblem } from './cron-fields.ts';
import { windowMs, Zone } from './zone.ts';

/** When something is to happen. */
export interface Timing {
  /** See ScheduleSpec of the contract. */
  readonly cron: string;
  /** Empty: UTC. */
  readonly timeZone: string;
}

// How clocks that are changed are met. A pattern that names hours ("30 2 * * *", also with "*" as its minute) is of the clock on
// the wall: each reading ticks once, the first time that the clock shows it, and one that the clock leaps over ticks at the moment
// of the leap; ticks that fall on one moment are one. A pattern whose hour begins with "*" ("*/15 * * * *", "0 */6 * * *",
// @hourly) goes on in real time: it ticks whenever the clock shows a reading that fits, so twice in an hour that comes twice, and not at
// all in one that does not come.
//
// croner alone comes near, but it takes lists and ranges of hours for real time, and drops what a leap of a whole day goes over
// (Pacific/Apia, December 2011). So it is asked for readings alone, in UTC, where none is missing; when a clock shows them is found here.

const shortestMs = 10_000;
const longestCron = 256;
// A map, as "__proto__" is a pattern that somebody may send.
const nicknames: ReadonlyMap<string, string> = new Map([
  ['@hourly', '0 * * * *'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@weekly', '0 0 * * 0'],
  ['@monthly', '0 0 1 * *'],
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
]);
/** Ticks that are looked at to find how close together a pattern's are. */
const looked = 400;

/** What is wrong with a pattern, completing "cron …"; undefined when it can be used. */
export function cronProblem(cron: string): string | undefined {
  if (cron.length > longestCron) return `is longer than ${longestCron} characters`;
  const pattern = patternOf(cron);
  if (pattern === undefined) {
    if (cron.startsWith('@')) return `is not one of ${[...nicknames.keys()].join(', ')}`;
    return 'is not five fields (minute, hour, day of the month, month, day of the week) or six with seconds first, of digits, names of months and days, and * , - / # L W';
  }
  try {
    const readings = new Readings(pattern);
    const first = readings.after(Date.UTC(2024, 0));
    if (first === undefined) return 'names a day that never comes';
    let closest = Number.POSITIVE_INFINITY;
    let before = first;
    for (let count = pattern.split(' ').length === 6 ? looked : 0; count > 0; count -= 1) {
      const next = readings.after(before);
      if (next === undefined) break;
      closest = Math.min(closest, next - before);
      before = next;
    }
    return closest < shortestMs ? 'comes more often than every 10 s' : undefined;
  } catch {
    return entryProblem(pattern, Readings.areOf) ?? 'cannot be read';
  }
}

/** What is wrong with a time zone; undefined when it can be used. */
export function timeZoneProblem(timeZone: string): string | undefined {
  const wrong = 'is not a time zone of the IANA database, as Europe/Berlin';
  if (timeZone === '') return undefined;
  if (!/^[A-Za-z][A-Za-z0-9/_+-]{1,63}$/.test(timeZone)) return wrong;
  try {
    new Zone(timeZone);
    return undefined;
  } catch {
    return wrong;
  }
}

/** The first tick after a moment; undefined when none comes any more. Times in ms since 1970. The timing has no problem. */
export function nextTick(timing: Timing, afterMs: number): number | undefined {
  return clockworkOf(timing).next(afterMs);
}

/** The ticks after one moment and up to another, both in ms since 1970, oldest first, and no more than so many. */
export function ticksBetween(timing: Timing, afterMs: number, upToMs: number, limit: number): number[] {
  const clockwork = clockworkOf(timing);
  const ticks: number[] = [];
  let tick = clockwork.next(afterMs);
  while (tick !== undefined && tick <= upToMs && ticks.length < limit) {
    ticks.push(tick);
    tick = clockwork.next(tick);
  }
  return ticks;
}

function patternOf(cron: string): string | undefined {
  const known = nicknames.get(cron.toLowerCase());
  if (known !== undefined) return known;
  const fields = cron.trim().split(/[ \t]+/);
  if (fields.length !== 5 && fields.length !== 6) return undefined;
  if (!fields.every((field) => /^[0-9A-Za-z*,/#-]+$/.test(field))) return undefined;
  // croner takes a day field with a step for one that is set, even where it leaves no day out.
  return fields.map((field) => (field === '*/1' ? '*' : field)).join(' ');
}

/** The readings of a clock that fit a pattern. */
class Readings {
  readonly #cron: Cron;

  constructor(pattern: string) {
    this.#cron = new Cron(pattern, { timezone: 'UTC', paused: true, mode: '5-or-6-parts' });
  }

  static areOf(pattern: string): boolean {
    try {
      return new Readings(pattern) !== undefined;
    } catch {
      return false;
    }
  }

  after(readingMs: number): number | undefined {
    return this.#cron.nextRun(new Date(readingMs))?.getTime();
  }
}

interface Clockwork {
  next(afterMs: number): number | undefined;
}

/** Each reading once. */
class WallTicks implements Clockwork {
  readonly #readings: Readings;
  readonly #zone: Zone;

  constructor(readings: Readings, zone: Zone) {
    this.#readings = readings;
    this.#zone = zone;
  }

  next(afterMs: number): number | undefined {
    let reading = this.#readings.after(afterMs + this.#zone.offsetMs(afterMs));
    while (reading !== undefined) {
      const tick = this.#zone.firstTimeOf(reading);
      if (tick > afterMs) return tick;
      reading = this.#readings.after(reading);
    }
    return undefined;
  }
}

/** Whenever a reading is shown. */
class RealTicks implements Clockwork {
  readonly #readings: Readings;
  readonly #zone: Zone;

  constructor(readings: Readings, zone: Zone) {
    this.#readings = readings;
    this.#zone = zone;
  }

  next(afterMs: number): number | undefined {
    let fromMs = afterMs;
    // A change is looked for from here on; its own moment may be a tick.
    let sinceMs = afterMs;
    while (true) {
      const offsetMs = this.#zone.offsetMs(sinceMs);
      const reading = this.#readings.after(fromMs + offsetMs);
      if (reading === undefined) return undefined;
      const tick = reading - offsetMs;
      const nearMs = Math.min(tick, sinceMs + windowMs);
      const changeMs = this.#zone.change(sinceMs, nearMs);
      if (changeMs !== undefined) {
        sinceMs = changeMs;
        fromMs = changeMs - 1;
      } else if (tick === nearMs) {
        return tick;
      } else {
        // Nothing fits for long: what fits next is near the reading, whatever the offset is then.
        sinceMs = Math.max(nearMs, tick - 2 * windowMs);
        fromMs = sinceMs;
      }
    }
  }
}

const kept = new Map<string, Clockwork>();
const mostKept = 500;

function clockworkOf({ cron, timeZone }: Timing): Clockwork {
  const key = `${timeZone} ${cron}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const pattern = patternOf(cron);
  if (pattern === undefined) throw new RangeError(`the pattern "${cron}" was never checked`);
  const readings = new Readings(pattern);
  const zone = new Zone(timeZone === '' ? 'UTC' : timeZone);
  const hours = pattern.split(' ').at(-4) ?? '';
  const realTime = hours.split(',').some((part) => part.startsWith('*') || part.startsWith('0-23'));
  const clockwork = realTime ? new RealTicks(readings, zone) : new WallTicks(readings, zone);
  if (kept.size >= mostKept) kept.clear();
  kept.set(key, clockwork);
  return clockwork;
}
