import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { transact } from './database.ts';

export type RunState = 'waiting' | 'running' | 'succeeded' | 'failed' | 'skipped' | 'missed';

/** Which run: a schedule's tick on a node. */
export interface RunKey {
  readonly schedule: string;
  /** ISO 8601, UTC. */
  readonly tick: string;
  /** Empty when it never came to single nodes; "name/…" for one that no agent has told of yet. */
  readonly nodeUid: string;
}

/** What became of a tick on a node. Times are ISO 8601, UTC. */
export interface Run extends RunKey {
  readonly nodeName: string;
  readonly triggered: boolean;
  /** Whose round it is, when it was triggered. */
  readonly triggerKey: string;
  /** Not before this. */
  readonly dueAt: string;
  /** It begins before this or never. */
  readonly deadlineAt: string;
  readonly state: RunState;
  readonly reason: string;
  readonly detail: string;
  readonly captureId: string;
  /** How many ticks it stands for. */
  readonly ticks: number;
}

/** A run whose time has come. */
export interface DueRun extends Run {
  /** Whether an earlier run of the schedule waits or runs on the node. */
  readonly overlaps: boolean;
  /** Where it stands among those that wait: for the next page. */
  readonly row: number;
}

/** How a run goes on. */
export interface RunChange {
  readonly state: RunState;
  readonly reason?: string;
  readonly detail?: string;
  readonly captureId?: string;
}

/** The runs on disk, each asked for by an index. Every change is durable when the call returns; each throws storage_failed. */
export class RunJournal {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Puts a tick's runs on record and moves the schedule's mark there, both or neither. False, and nothing is done, when the schedule is not the one that
   * was made at `createdAt` any more, or not as it was planned: its mark or its pause has changed.
   */
  plan(
    schedule: { name: string; createdAt: string; plannedThrough: string; pausedBy: string },
    through: string,
    runs: readonly Run[],
  ): boolean {
    const { name, createdAt, plannedThrough, pausedBy } = schedule;
    return transact(this.#database, () => {
      const { changes } = this.#prepare(
        `UPDATE schedules SET planned_through = ?
         WHERE name = ? AND created_at = ? AND planned_through = ? AND paused_by = ?`,
      ).run(through, name, createdAt, plannedThrough, pausedBy);
      if (changes === 0) return false;
      this.#insert(runs);
      return true;
    });
  }

  /** Puts a round on record that is beside the clock's. */
  add(runs: readonly Run[]): void {
    transact(this.#database, () => this.#insert(runs));
  }

  #insert(runs: readonly Run[]): void {
    // What is on record for a tick and a node stays, also when the clock comes to the tick again.
    const insert = this.#prepare(
      `INSERT INTO runs (schedule, tick, node_uid, node_name, triggered, trigger_key, due_at, deadline_at, state, reason, detail, ticks)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (schedule, tick, node_uid) DO NOTHING`,
    );
    for (const run of runs) {
      const { schedule, tick, nodeUid, nodeName, triggered, triggerKey, dueAt, deadlineAt } = run;
      const key = [schedule, tick, nodeUid, nodeName, triggered ? 1 : 0, triggerKey, dueAt, deadlineAt] as const;
      insert.run(...key, run.state, run.reason, run.detail, run.ticks);
    }
  }

  /** Those that wait and whose moment has come, the earliest first; `after` is the last one of the page before. */
  due(now: string, limit: number, after?: Pick<DueRun, 'dueAt' | 'row'>): DueRun[] {
    return this.#prepare(
      `SELECT rowid, *, EXISTS (
         SELECT 1 FROM runs AS earlier INDEXED BY runs_open WHERE earlier.schedule = runs.schedule AND earlier.node_name = runs.node_name
         AND earlier.tick < runs.tick AND earlier.state IN ('waiting', 'running')
       ) AS overlaps
       FROM runs WHERE state = 'waiting' AND due_at <= ?1 AND due_at >= ?2 AND (due_at, rowid) > (?2, ?3)
       ORDER BY due_at, rowid LIMIT ?4`,
    )
      .all(now, after?.dueAt ?? '', after?.row ?? -1, limit)
      .map((row) => ({ ...toRun(row), overlaps: row.overlaps === 1, row: Number(row.rowid) }));
  }

  /** Those that wait and whose deadline has come, the earliest first. */
  expired(now: string, limit: number): Run[] {
    return this.#prepare(`SELECT * FROM runs WHERE state = 'waiting' AND deadline_at <= ? ORDER BY deadline_at LIMIT ?`)
      .all(now, limit)
      .map(toRun);
  }

  /** When the next waiting run comes due after a moment, and when the first waiting one ends. */
  nextMoments(now: string): { dueAt: string | undefined; deadlineAt: string | undefined } {
    const due = this.#prepare(`SELECT min(due_at) AS at FROM runs WHERE state = 'waiting' AND due_at > ?`).get(now);
    const deadline = this.#prepare(`SELECT min(deadline_at) AS at FROM runs WHERE state = 'waiting'`).get();
    return { dueAt: textOf(due?.at), deadlineAt: textOf(deadline?.at) };
  }

  /** How many run, by schedule. */
  running(): Map<string, number> {
    const rows = this.#prepare(
      `SELECT schedule, count(*) AS count FROM runs WHERE state = 'running' GROUP BY schedule`,
    ).all();
    return new Map(rows.map(({ schedule, count }) => [String(schedule), Number(count)]));
  }

  /** Those that wait, of one schedule or of all. */
  waiting(schedule?: string): Run[] {
    return this.#prepare(`SELECT * FROM runs WHERE state = 'waiting' AND (?1 IS NULL OR schedule = ?1) ORDER BY due_at`)
      .all(schedule ?? null)
      .map(toRun);
  }

  /** Changes runs: all of them or none. */
  change(changes: readonly (readonly [RunKey, RunChange])[]): void {
    const update = this.#prepare(
      `UPDATE runs SET state = ?, reason = ?, detail = ?, capture_id = ? WHERE schedule = ? AND tick = ? AND node_uid = ?`,
    );
    transact(this.#database, () => {
      for (const [{ schedule, tick, nodeUid }, { state, reason = '', detail = '', captureId = '' }] of changes)
        update.run(state, reason, detail, captureId, schedule, tick, nodeUid);
    });
  }

  /** The run of a capture. */
  ofCapture(captureId: string): Run | undefined {
    const row = this.#prepare(`SELECT * FROM runs WHERE capture_id = ? AND capture_id <> ''`).get(captureId);
    return row && toRun(row);
  }

  /** Running ones whose capture has ended: the collector was killed between the two. */
  overdue(): Run[] {
    return this.#prepare(
      `SELECT runs.* FROM runs JOIN captures ON captures.id = runs.capture_id
       WHERE runs.state = 'running' AND captures.outcome <> ''`,
    )
      .all()
      .map(toRun);
  }

  /** The round that a key made. */
  ofTrigger(schedule: string, triggerKey: string): Run[] {
    return this.#prepare(
      `SELECT * FROM runs INDEXED BY runs_by_trigger WHERE schedule = ? AND trigger_key = ? AND trigger_key <> '' ORDER BY node_name`,
    )
      .all(schedule, triggerKey)
      .map(toRun);
  }

  /** The moment of a triggered round of which a run still waits or runs. */
  openTrigger(schedule: string): string | undefined {
    const row = this.#prepare(
      `SELECT tick FROM runs INDEXED BY runs_open
       WHERE schedule = ? AND state IN ('waiting', 'running') AND triggered = 1 LIMIT 1`,
    ).get(schedule);
    return textOf(row?.tick);
  }

  has(schedule: string, tick: string): boolean {
    return this.#prepare('SELECT 1 FROM runs WHERE schedule = ? AND tick = ?').get(schedule, tick) !== undefined;
  }

  /** Newest first. */
  list(options: { schedule?: string; nodeName?: string; limit: number }): Run[] {
    const { schedule, nodeName, limit } = options;
    const where = [
      ...(schedule === undefined ? [] : ['schedule = ?']),
      ...(nodeName === undefined ? [] : ['node_name = ?']),
    ];
    return this.#prepare(
      `SELECT * FROM runs ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}
       ORDER BY tick DESC, schedule, node_name LIMIT ?`,
    )
      .all(...[schedule, nodeName].filter((value) => value !== undefined), limit)
      .map(toRun);
  }

  /** The newest tick of a schedule and its runs by state. */
  newest(schedule: string): { tick: string; counts: Map<RunState, number> } | undefined {
    const tick = textOf(this.#prepare('SELECT max(tick) AS tick FROM runs WHERE schedule = ?').get(schedule)?.tick);
    if (tick === undefined) return undefined;
    const rows = this.#prepare(
      'SELECT state, count(*) AS count FROM runs WHERE schedule = ? AND tick = ? GROUP BY state',
    ).all(schedule, tick);
    return { tick, counts: new Map(rows.map(({ state, count }) => [state as RunState, Number(count)])) };
  }

  /** Deletes at most so many of those before a moment that have ended; the newest of each schedule and node stays. Gives their number. */
  prune(before: string, limit: number): number {
    const { changes } = transact(this.#database, () =>
      this.#prepare(
        `DELETE FROM runs WHERE rowid IN (
           SELECT old.rowid FROM runs AS old WHERE old.tick < ?1 AND old.state NOT IN ('waiting', 'running') AND EXISTS (
             SELECT 1 FROM runs AS newer WHERE newer.schedule = old.schedule AND newer.node_name = old.node_name AND newer.tick > old.tick
           ) LIMIT ?2
         )`,
      ).run(before, limit),
    );
    return Number(changes);
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function toRun(row: Record<string, unknown>): Run {
  return {
    schedule: String(row.schedule),
    tick: String(row.tick),
    nodeUid: String(row.node_uid),
    nodeName: String(row.node_name),
    triggered: row.triggered === 1,
    triggerKey: String(row.trigger_key),
    dueAt: String(row.due_at),
    deadlineAt: String(row.deadline_at),
    state: row.state as RunState,
    reason: String(row.reason),
    detail: String(row.detail),
    captureId: String(row.capture_id),
    ticks: Number(row.ticks),
  };
}
