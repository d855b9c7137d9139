import { Fault } from '@kcorder/proto/fault.ts';
import type { Run } from '../journal/run-journal.ts';
import type { StoredSchedule } from '../journal/schedule-journal.ts';
import type { ClockWatch } from './clock.ts';
import type { SchedulerDeps } from './deps.ts';
import { type Ending, lateDetail, overAtMs, recordOf, runsOf } from './planner.ts';
import type { Roster } from './roster.ts';
import { ticksBetween } from './ticks.ts';

/** Ticks that are looked at in one step. */
const mostTicks = 1_000;
const againMs = 5_000;

/** Makes runs of ticks. */
export class Planning {
  readonly #deps: SchedulerDeps;
  readonly #roster: Roster;
  readonly #watch: ClockWatch;
  readonly #wake: () => void;
  readonly #busy = new Set<string>();
  /** By schedule: why its tick could not be planned, and when it is tried again. */
  readonly #lastErrors = new Map<string, { readonly detail: string; readonly untilMs: number }>();

  constructor(deps: SchedulerDeps, roster: Roster, watch: ClockWatch, wake: () => void) {
    this.#deps = deps;
    this.#roster = roster;
    this.#watch = watch;
    this.#wake = wake;
  }

  /** Plans what has come. */
  look(nowMs: number): void {
    for (const { schedule, nextMs } of this.#roster.entries()) {
      const { name } = schedule.spec;
      const untilMs = this.#lastErrors.get(name)?.untilMs ?? nowMs;
      // Many times a retry away is a clock that was put back.
      const waits = untilMs > nowMs && untilMs <= nowMs + againMs;
      if (nextMs === undefined || nextMs > nowMs || waits || this.#busy.has(name)) continue;
      this.#busy.add(name);
      void this.#step(schedule, nowMs)
        .catch((error: unknown) => this.#failed(name, error))
        .finally(() => {
          this.#busy.delete(name);
          this.#wake();
        });
    }
  }

  /** When there is something to plan; undefined: not before something else happens. */
  nextMs(): number | undefined {
    let first: number | undefined;
    for (const { schedule, nextMs } of this.#roster.entries()) {
      const { name } = schedule.spec;
      if (nextMs === undefined || this.#busy.has(name)) continue;
      const atMs = Math.max(nextMs, this.#lastErrors.get(name)?.untilMs ?? 0);
      first = Math.min(first ?? atMs, atMs);
    }
    return first;
  }

  /**
   * Puts on record, without asking for nodes, what has come up to now and is not planned yet: the schedule is about to change. Ends early when the clock of
   * the wall was put back behind what is planned.
   */
  settle(name: string, nowMs: number): StoredSchedule | undefined {
    while (true) {
      const schedule = this.#roster.get(name);
      if (schedule === undefined || this.#roster.isUntimed(name)) return schedule;
      const ticks = ticksBetween(schedule.spec, Date.parse(schedule.plannedThrough), nowMs, mostTicks);
      if (ticks.length === 0) return schedule;
      this.#commit(schedule, ticks, [this.#record(schedule, ticks)]);
    }
  }

  forget(name: string): void {
    this.#lastErrors.delete(name);
  }

  async #step(schedule: StoredSchedule, nowMs: number): Promise<void> {
    const { spec } = schedule;
    const ticks = ticksBetween(spec, Date.parse(schedule.plannedThrough), nowMs, mostTicks);
    const firstLive = ticks.findIndex((tick) => overAtMs(spec, tick) > nowMs);
    const over = firstLive === -1 ? ticks : ticks.slice(0, firstLive);
    const [first] = ticks;
    if (first === undefined) return;
    if (over.length > 0) {
      const reason = this.#endingOf(schedule, over[0] ?? first).reason;
      const alike = over.findIndex((tick) => this.#endingOf(schedule, tick).reason !== reason);
      const group = alike === -1 ? over : over.slice(0, alike);
      this.#commit(schedule, group, [this.#record(schedule, group)]);
    } else if (schedule.pausedBy !== '') {
      this.#commit(
        schedule,
        ticks,
        ticks.map((tick) => this.#record(schedule, [tick])),
      );
    } else {
      const nodes = await this.#deps.nodes.select(spec.target);
      this.#commit(schedule, [first], runsOf(spec, first, nodes));
    }
  }

  #record(schedule: StoredSchedule, ticks: readonly number[]): Run {
    const last = ticks.at(-1) ?? 0;
    return recordOf(schedule.spec.name, last, ticks.length, this.#endingOf(schedule, last));
  }

  #endingOf({ spec, pausedBy }: StoredSchedule, tickMs: number): Ending {
    if (pausedBy !== '') return { state: 'skipped', reason: 'paused', detail: `${pausedBy} has paused the schedule` };
    const lastError = this.#lastErrors.get(spec.name);
    if (lastError !== undefined) return { state: 'missed', reason: 'cluster_unavailable', detail: lastError.detail };
    const reason = this.#watch.missed(tickMs) ?? 'collector_down';
    return { state: 'missed', reason, detail: lateDetail[reason] };
  }

  #commit(schedule: StoredSchedule, ticks: readonly number[], runs: readonly Run[]): void {
    const { spec, createdAt, plannedThrough, pausedBy } = schedule;
    const through = new Date(ticks.at(-1) ?? 0).toISOString();
    // It may have been changed, paused or deleted while nodes were asked for: then it is looked at anew.
    if (this.#roster.get(spec.name) !== schedule) return;
    if (!this.#deps.runs.plan({ name: spec.name, createdAt, plannedThrough, pausedBy }, through, runs)) return;
    this.#lastErrors.delete(spec.name);
    this.#roster.planned(schedule, through);
    for (const run of runs) if (run.state !== 'waiting') this.#deps.events.runEnded(run);
  }

  #failed(name: string, error: unknown): void {
    const fault = Fault.from(error);
    this.#lastErrors.set(name, { detail: fault.message, untilMs: this.#deps.clock.wall().getTime() + againMs });
    this.#deps.events.failed(`the runs of schedule ${name} could not be planned`, error);
  }
}
