import type { ScheduleJournal, ScheduleSpec, StoredSchedule } from '../journal/schedule-journal.ts';
import { nextTick } from './ticks.ts';

/** A schedule, and the first tick that is not planned yet. */
export interface Entry {
  readonly schedule: StoredSchedule;
  /** In ms since 1970; undefined when none comes any more, or its times cannot be told. */
  readonly nextMs: number | undefined;
  /** True: this version does not know its pattern or time zone. */
  readonly isUntimed: boolean;
}

/** The schedules, in memory as they are on disk. */
export class Roster {
  readonly #journal: ScheduleJournal;
  readonly #untimed: (name: string, error: unknown) => void;
  readonly #entries = new Map<string, Entry>();

  /** `untimed` is told of schedules that were made when their pattern and time zone were known, and have no runs any more. */
  constructor(journal: ScheduleJournal, untimed: (name: string, error: unknown) => void) {
    this.#journal = journal;
    this.#untimed = untimed;
    for (const schedule of journal.list()) this.#put(schedule);
  }

  get(name: string): StoredSchedule | undefined {
    return this.#entries.get(name)?.schedule;
  }

  nextMs(name: string): number | undefined {
    return this.#entries.get(name)?.nextMs;
  }

  isUntimed(name: string): boolean {
    return this.#entries.get(name)?.isUntimed === true;
  }

  /** By name. */
  list(): StoredSchedule[] {
    return [...this.#entries.values()]
      .map(({ schedule }) => schedule)
      .sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  }

  entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  get size(): number {
    return this.#entries.size;
  }

  create(schedules: readonly StoredSchedule[]): void {
    this.#journal.create(schedules);
    for (const schedule of schedules) this.#put(schedule);
  }

  change(schedule: StoredSchedule, spec: ScheduleSpec, plannedThrough: string): void {
    this.#journal.change(spec, plannedThrough);
    this.#put({ ...schedule, spec, plannedThrough });
  }

  pause(schedule: StoredSchedule, pausedBy: string, plannedThrough: string): void {
    this.#journal.pause(schedule.spec.name, pausedBy, plannedThrough);
    this.#put({ ...schedule, pausedBy, plannedThrough });
  }

  remove(name: string): void {
    this.#journal.remove(name);
    this.#entries.delete(name);
  }

  /** Notes that ticks up to here are on record: with them, on disk, by then. */
  planned(schedule: StoredSchedule, plannedThrough: string): void {
    this.#put({ ...schedule, plannedThrough });
  }

  #put(schedule: StoredSchedule): void {
    const { spec, plannedThrough } = schedule;
    try {
      const nextMs = nextTick(spec, Date.parse(plannedThrough));
      this.#entries.set(spec.name, { schedule, nextMs, isUntimed: false });
    } catch (error) {
      // One that cannot be read shall not keep the others from running.
      this.#entries.set(spec.name, { schedule, nextMs: undefined, isUntimed: true });
      this.#untimed(spec.name, error);
    }
  }
}
