import { Fault } from '@kcorder/proto/fault.ts';
import type { Run } from '../journal/run-journal.ts';
import type { RetentionRule, ScheduleSpec, StoredSchedule } from '../journal/schedule-journal.ts';
import type { SchedulerDeps } from './deps.ts';
import { runsOf } from './planner.ts';
import { Scheduler } from './scheduler.ts';
import { problemsOf, sameSpec, sentenceOf } from './spec.ts';
import { deleted } from './starting.ts';
import { nextTick, ticksBetween } from './ticks.ts';

/** Puts on the audit log who does what; it throws rather than that something is done without it. */
export type Record = (actor: string, action: string, detail: unknown) => void;

/** More would make the metrics too many. */
const mostSchedules = 200;
const intervalsLookedAt = 400;
const lookAheadMs = 400 * 24 * 3_600_000;

/** What can be done with schedules. Every change is on the audit log before it is done. */
export class Schedules {
  readonly scheduler: Scheduler;
  readonly #deps: SchedulerDeps;
  readonly #record: Record;
  readonly #inCluster: boolean;
  readonly #intervals = new Map<string, { readonly spec: ScheduleSpec; readonly ms: number | undefined }>();

  constructor(deps: SchedulerDeps, record: Record, inCluster: boolean) {
    this.#deps = deps;
    this.#record = record;
    this.#inCluster = inCluster;
    this.scheduler = new Scheduler(deps);
  }

  /** Throws schedule_unknown. */
  get(name: string): StoredSchedule {
    const schedule = this.scheduler.roster.get(name);
    if (schedule !== undefined) return schedule;
    throw new Fault(
      'schedule_unknown',
      `there is no schedule ${name.slice(0, 80)}: list them with 'kcorder schedule get'`,
    );
  }

  /** By name. */
  list(): StoredSchedule[] {
    return this.scheduler.roster.list();
  }

  /** Throws invalid_argument that names all that is wrong, schedule_exists, schedule_configured, resource_exhausted, storage_failed. */
  create(spec: ScheduleSpec, by: string): StoredSchedule {
    const problems = problemsOf(spec, this.#inCluster);
    if (problems.length > 0)
      throw new Fault('invalid_argument', `the schedule cannot be made: ${sentenceOf(problems)}`);
    const { roster } = this.scheduler;
    const twin = roster.get(spec.name);
    if (twin?.configured === true) throw configured(spec.name);
    if (twin !== undefined)
      throw new Fault(
        'schedule_exists',
        `there is a schedule ${spec.name} already: delete it first, or choose another name`,
      );
    if (roster.size >= mostSchedules)
      throw new Fault('resource_exhausted', `there are ${mostSchedules} schedules, and no more are kept: delete some`);
    this.#record(by, 'schedule_created', spec);
    const schedule = this.#made(spec, by, false);
    roster.create([schedule]);
    this.scheduler.wake();
    return schedule;
  }

  /** Ticks are recorded as skipped from now on, and so is what waits. Throws schedule_unknown, storage_failed. */
  pause(name: string, by: string): StoredSchedule {
    const schedule = this.get(name);
    if (schedule.pausedBy !== '') return schedule;
    this.#record(by, 'schedule_paused', { name });
    this.scheduler.roster.pause(schedule, by, schedule.plannedThrough);
    const ending = { state: 'skipped', reason: 'paused', detail: `${by} has paused the schedule` } as const;
    this.scheduler.starting.drop(name, ending, ({ triggered }) => !triggered);
    this.scheduler.wake();
    return this.get(name);
  }

  /**
   * Goes on from now. When the clock was put back behind what is planned, this lets ticks count from now again; what is on record stays as it is. Throws
   * schedule_unknown, storage_failed.
   */
  resume(name: string, by: string): StoredSchedule {
    if (this.get(name).pausedBy === '') return this.get(name);
    this.#record(by, 'schedule_resumed', { name });
    const schedule = this.scheduler.settle(name) ?? this.get(name);
    this.scheduler.roster.pause(schedule, '', this.#now());
    this.scheduler.wake();
    return this.get(name);
  }

  /**
   * One round now, beside the clock's, of which one at a time is open; the same key gives the same round. Throws schedule_unknown, capture_running
   * while an earlier round waits or runs, cluster_unavailable, storage_failed.
   */
  async trigger(name: string, key: string, by: string): Promise<Run[]> {
    const { runs, nodes } = this.#deps;
    const before = this.#roundOf(name, key);
    if (before.length > 0) return before;
    const found = await nodes.select(this.get(name).spec.target);
    // While nodes were asked for, it may have been deleted, or another call may have been faster.
    const { spec } = this.get(name);
    const meanwhile = this.#roundOf(name, key);
    if (meanwhile.length > 0) return meanwhile;
    this.#record(by, 'schedule_triggered', { name, key });
    let tickMs = this.#deps.clock.wall().getTime();
    while (runs.has(name, new Date(tickMs).toISOString())) tickMs += 1;
    const round = runsOf(spec, tickMs, found, key);
    runs.add(round);
    for (const run of round) if (run.state !== 'waiting') this.#deps.events.runEnded(run);
    this.scheduler.wake();
    return runs.ofTrigger(name, key);
  }

  /** The round of a key; none when it is still to be made. Throws schedule_unknown, capture_running. */
  #roundOf(name: string, key: string): Run[] {
    const { runs } = this.#deps;
    const round = runs.ofTrigger(this.get(name).spec.name, key);
    const open = round.length > 0 ? undefined : runs.openTrigger(name);
    if (open === undefined) return round;
    throw new Fault(
      'capture_running',
      `schedule ${name} was not triggered: its round triggered at ${open} still waits or runs. See 'kcorder schedule runs ${name}' and retry when it has ended, or capture single nodes with 'kcorder capture'`,
    );
  }

  /** What waits is skipped; captures that run go on. Throws schedule_unknown, schedule_configured, storage_failed. */
  remove(name: string, by: string): void {
    if (this.get(name).configured) throw configured(name);
    this.#remove(name, by);
  }

  /** The newest first. */
  runs(options: { schedule?: string; nodeName?: string; limit: number }): Run[] {
    return this.#deps.runs.list(options);
  }

  newest(name: string): ReturnType<SchedulerDeps['runs']['newest']> {
    return this.#deps.runs.newest(name);
  }

  /** The ticks to come, at most so many; none while it is paused or its times cannot be told. In ms since 1970. */
  nextTicks({ spec, plannedThrough, pausedBy }: StoredSchedule, count: number): number[] {
    if (pausedBy !== '' || this.scheduler.roster.isUntimed(spec.name)) return [];
    const afterMs = Math.max(Date.parse(plannedThrough), this.#deps.clock.wall().getTime());
    return ticksBetween(spec, afterMs, Number.POSITIVE_INFINITY, count);
  }

  /** When a schedule comes again, and the longest time between two of its ticks that follow each other. */
  timesOf(name: string): { nextAtMs: number | undefined; intervalMs: number | undefined } {
    const schedule = this.scheduler.roster.get(name);
    if (schedule === undefined || this.scheduler.roster.isUntimed(name))
      return { nextAtMs: undefined, intervalMs: undefined };
    const nextAtMs = schedule.pausedBy === '' ? this.scheduler.roster.nextMs(name) : undefined;
    return { nextAtMs, intervalMs: this.#intervalMs(schedule.spec) };
  }

  /** How long the captures of each schedule are kept, and since when it is there: a changed configuration keeps that time. */
  retentionRules(): Map<string, RetentionRule & { readonly since: string }> {
    return new Map(this.list().map(({ spec, createdAt }) => [spec.name, { ...spec.retention, since: createdAt }]));
  }

  /** Makes the configured schedules those of the configuration. Throws config_invalid, storage_failed; then nothing was changed. */
  configure(specs: readonly ScheduleSpec[]): void {
    const { roster } = this.scheduler;
    const twins = specs.filter(({ name }) => roster.get(name)?.configured === false);
    if (twins.length > 0) {
      const both = twins.map(({ name }) => `${name} (made by ${roster.get(name)?.createdBy})`).join(', ');
      throw new Fault(
        'config_invalid',
        `the configuration has schedules that were made by call too: ${both}. Delete those, or name the others otherwise`,
      );
    }
    const wanted = new Set(specs.map(({ name }) => name));
    for (const { spec, configured: ours } of roster.list())
      if (ours && !wanted.has(spec.name)) this.#remove(spec.name, 'collector');
    for (const spec of specs) {
      const schedule = roster.get(spec.name);
      if (schedule !== undefined && sameSpec(schedule.spec, spec)) continue;
      this.#record('collector', schedule === undefined ? 'schedule_created' : 'schedule_changed', spec);
      if (schedule === undefined) roster.create([this.#made(spec, 'configuration', true)]);
      else this.#change(schedule, spec);
    }
    this.scheduler.wake();
  }

  close(): void {
    this.scheduler.close();
  }

  /** Ticks up to now were those of the old spec. */
  #change({ spec: { name } }: StoredSchedule, spec: ScheduleSpec): void {
    const schedule = this.scheduler.settle(name);
    if (schedule === undefined) return;
    const throughMs = Math.max(this.#deps.clock.wall().getTime(), Date.parse(schedule.plannedThrough));
    this.scheduler.roster.change(schedule, spec, new Date(throughMs).toISOString());
  }

  #remove(name: string, by: string): void {
    this.#record(by, 'schedule_deleted', { name });
    this.scheduler.starting.drop(name, deleted);
    this.scheduler.planning.forget(name);
    this.scheduler.roster.remove(name);
    this.#intervals.delete(name);
  }

  #made(spec: ScheduleSpec, createdBy: string, isConfigured: boolean): StoredSchedule {
    const now = this.#now();
    return { spec, configured: isConfigured, createdAt: now, createdBy, pausedBy: '', plannedThrough: now };
  }

  #intervalMs(spec: ScheduleSpec): number | undefined {
    const known = this.#intervals.get(spec.name);
    if (known?.spec === spec) return known.ms;
    const nowMs = this.#deps.clock.wall().getTime();
    const ticks = ticksBetween(spec, nowMs, nowMs + lookAheadMs, intervalsLookedAt);
    const first = ticks[0] ?? nextTick(spec, nowMs);
    const second = first === undefined ? undefined : nextTick(spec, first);
    const some = ticks.length > 2 ? ticks : [first, second].filter((tick) => tick !== undefined);
    const gaps = some.slice(1).map((tick, index) => tick - (some[index] ?? tick));
    const ms = gaps.length === 0 ? undefined : gaps.reduce((a, b) => Math.max(a, b));
    this.#intervals.set(spec.name, { spec, ms });
    return ms;
  }

  #now(): string {
    return this.#deps.clock.wall().toISOString();
  }
}

const configured = (name: string): Fault =>
  new Fault(
    'schedule_configured',
    `schedule ${name} is part of the configuration: change it there (chart value schedules, or the collector's schedules file)`,
  );
