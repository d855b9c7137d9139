import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import * as v from 'valibot';
import type { AnalysisSpec } from '../capture/capture.ts';
import { transact } from './database.ts';
import { decode, encode } from './encode.ts';
import { setScheduleAside } from './quarantine.ts';

/** Which nodes: see ScheduleTarget of the contract. */
export interface ScheduleTarget {
  readonly nodeNames: readonly string[];
  readonly nodeLabels: string;
  readonly podNamespaces: readonly string[];
  readonly podLabels: string;
}

/** What a schedule does: see ScheduleSpec of the contract. */
export interface ScheduleSpec {
  readonly name: string;
  readonly cron: string;
  /** Empty: UTC. */
  readonly timeZone: string;
  readonly target: ScheduleTarget;
  readonly analyze: boolean;
  /** Unset: the default profile. */
  readonly analysis?: AnalysisSpec;
  readonly jitterMs: number;
  /** Unset: half of the time to the next tick, within bounds. */
  readonly startingDeadlineMs?: number;
  /** 0: as many as the collector allows in all. */
  readonly maxConcurrent: number;
  readonly ignorePressure: boolean;
  readonly retention: RetentionRule;
  /** Empty: "schedule NAME". */
  readonly reason: string;
}

/** What may be deleted: see Retention of the contract. */
export interface RetentionRule {
  readonly keepLast: number;
  readonly ttlMs?: number;
}

/** A schedule as the journal has it. Times are ISO 8601, UTC. */
export interface StoredSchedule {
  readonly spec: ScheduleSpec;
  /** Part of the configuration. */
  readonly configured: boolean;
  readonly createdAt: string;
  readonly createdBy: string;
  /** Empty unless it is paused. */
  readonly pausedBy: string;
  /** Every tick up to here has its runs on record. */
  readonly plannedThrough: string;
}

/** The schedules on disk. Every change is durable when the call returns; each throws storage_failed. */
export class ScheduleJournal {
  readonly #database: DatabaseSync;
  readonly #damaged: (fault: unknown) => void;

  /** `damaged` hears of schedules that are set aside because they cannot be read. */
  constructor(database: DatabaseSync, damaged: (fault: unknown) => void = () => undefined) {
    this.#database = database;
    this.#damaged = damaged;
  }

  /** By name. Those that cannot be read are set aside. */
  list(): StoredSchedule[] {
    const rows = this.#database.prepare('SELECT * FROM schedules ORDER BY name').all();
    return rows.flatMap((row) => this.#read(row) ?? []);
  }

  #read(row: Record<string, unknown>): StoredSchedule | undefined {
    try {
      return toSchedule(row);
    } catch (cause) {
      const name = String(row.name);
      const why = `its spec is no schedule (${cause instanceof Error ? cause.message : String(cause)})`;
      transact(this.#database, () => setScheduleAside(this.#database, name, why));
      this.#damaged(
        new Fault(
          'database_unusable',
          `schedule ${name} cannot be read from the database: ${why}. It is in quarantine and has no runs any more: create it again`,
          { cause },
        ),
      );
      return undefined;
    }
  }

  /** Adds schedules: all of them or none. There are none of their names. */
  create(schedules: readonly StoredSchedule[]): void {
    const insert = this.#database.prepare(
      `INSERT INTO schedules (name, spec, configured, created_at, created_by, paused_by, planned_through)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    transact(this.#database, () => {
      for (const { spec, configured, createdAt, createdBy, pausedBy, plannedThrough } of schedules)
        insert.run(spec.name, encode(spec), configured ? 1 : 0, createdAt, createdBy, pausedBy, plannedThrough);
    });
  }

  /** Another spec of the same name; ticks up to `plannedThrough` were those of the old one. */
  change(spec: ScheduleSpec, plannedThrough: string): void {
    transact(this.#database, () =>
      this.#database
        .prepare('UPDATE schedules SET spec = ?, planned_through = ? WHERE name = ?')
        .run(encode(spec), plannedThrough, spec.name),
    );
  }

  /** Pauses it, or lets it go on when `pausedBy` is empty; then ticks count from `plannedThrough` on. */
  pause(name: string, pausedBy: string, plannedThrough: string): void {
    transact(this.#database, () =>
      this.#database
        .prepare('UPDATE schedules SET paused_by = ?, planned_through = ? WHERE name = ?')
        .run(pausedBy, plannedThrough, name),
    );
  }

  /** The record of its runs stays, but nobody's key leads to them any more. */
  remove(name: string): void {
    transact(this.#database, () => {
      this.#database.prepare(`UPDATE runs SET trigger_key = '' WHERE schedule = ? AND trigger_key <> ''`).run(name);
      this.#database.prepare('DELETE FROM schedules WHERE name = ?').run(name);
    });
  }
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const shape = v.object({
  name: v.string(),
  cron: v.string(),
  timeZone: v.string(),
  target: v.object({
    nodeNames: v.array(v.string()),
    nodeLabels: v.string(),
    podNamespaces: v.array(v.string()),
    podLabels: v.string(),
  }),
  analyze: v.boolean(),
  analysis: v.optional(
    v.union([
      v.object({ profile: v.string() }),
      v.object({
        plugins: v.array(v.object({ name: v.string(), arguments: v.optional(v.record(v.string(), v.string())) })),
      }),
    ]),
  ),
  jitterMs: count,
  startingDeadlineMs: v.optional(count),
  maxConcurrent: count,
  ignorePressure: v.boolean(),
  retention: v.object({ keepLast: count, ttlMs: v.optional(count) }),
  reason: v.string(),
});

/** Throws when the spec is none; that its pattern and time zone are known is another matter. */
function toSchedule(row: Record<string, unknown>): StoredSchedule {
  const spec = decode<ScheduleSpec>(String(row.spec));
  v.assert(shape, spec);
  if (spec.name !== row.name) throw new Error('it has another name');
  return {
    spec,
    configured: row.configured === 1,
    createdAt: String(row.created_at),
    createdBy: String(row.created_by),
    pausedBy: String(row.paused_by),
    plannedThrough: String(row.planned_through),
  };
}
