import type { ScheduleJournal, ScheduleSpec, StoredSchedule } from '../journal/schedule-journal.ts';
import { nextTick } from './ticks.ts';

/** A schedule, and the first tick that is not planned yet. */
export interface Entry {
  readonly schedule: StoredSchedule;
  /** In ms since 1970; undefined when none comes any more. */
  readonly nextMs: number | undefined;
}

/** The schedules, in memory as they are on disk. */
export class Roster {
  readonly #journal: ScheduleJournal;
  readonly #entries = new Map<string, Entry>();

  constructor(journal: ScheduleJournal) {
    this.#journal = journal;
    for (const schedule of journal.list()) this.#put(schedule);
  }

  get(name: string): StoredSchedule | undefined {
    return this.#entries.get(name)?.schedule;
  }

  nextMs(name: string): number | undefined {
    return this.#entries.get(name)?.nextMs;
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
    const nextMs = nextTick(schedule.spec, Date.parse(schedule.plannedThrough));
    this.#entries.set(schedule.spec.name, { schedule, nextMs });
  }
}
