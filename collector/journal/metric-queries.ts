// Why it is done this way: docs/decisions/023-metrics-of-state.md

import type { DatabaseSync } from 'node:sqlite';

/** How many captures of a node have ended in a way, those of one schedule or those by hand. */
export interface EndedCount {
  readonly node: string;
  /** Empty: by hand. */
  readonly schedule: string;
  readonly outcome: string;
  readonly reason: string;
  readonly count: number;
  /** Of the newest, in ms since 1970. */
  readonly endedAtMs: number;
}

/** How the captures of a node have gone, those of one schedule or those by hand. Times in ms since 1970. */
export interface NodeRecord {
  readonly outcome: string;
  readonly reason: string;
  readonly endedAtMs: number;
  /** Undefined: never. */
  readonly succeededAtMs: number | undefined;
  /** How many have ended as partial or failed since. */
  readonly failures: number;
}

/** Images at one place. Times in ms since 1970. */
export interface PlaceTotals {
  readonly place: string;
  readonly images: number;
  readonly bytes: number;
  /** How many have not come further, with the reason on record. */
  readonly notStored: number;
  readonly damaged: number;
  /** When the one was read that was not read for the longest time; what never was counts from its seal. */
  readonly oldestReadAtMs: number;
}

/** What the metrics tell of a schedule itself. */
export interface ScheduleTotals {
  readonly name: string;
  /** In ms since 1970. */
  readonly createdAtMs: number;
  readonly paused: boolean;
}

/** A number of things, and since when the oldest or newest of them, in ms since 1970. */
export interface Backlog {
  readonly count: number;
  readonly atMs: number | undefined;
}

const running = `phase IN ('requested', 'acquiring')`;
const ended = ['complete', 'partial', 'failed', 'canceled'];

/** Figures of what is on disk, for the metrics: each by an index, and none by reading whole captures. */
export class MetricQueries {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Every capture that has ended, by node, schedule and outcome. Reads one entry of an index for each: for the start, not for every scrape. */
  endedCaptures(): EndedCount[] {
    return this.#all(
      `SELECT schedule, node_name, outcome, outcome_reason, count(*) AS count, max(ended_at) AS at FROM captures
       WHERE outcome <> '' GROUP BY schedule, node_name, outcome, outcome_reason`,
    ).map((row) => ({
      node: String(row.node_name),
      schedule: String(row.schedule),
      outcome: String(row.outcome),
      reason: String(row.outcome_reason),
      count: Number(row.count),
      endedAtMs: timeOf(row.at) ?? 0,
    }));
  }

  /** Captures that have not ended, by phase. */
  openPhases(): Map<string, number> {
    const rows = this.#all(
      `SELECT phase, count(*) AS count FROM captures
       WHERE phase IN ('requested', 'acquiring', 'sealing', 'sealed', 'analyzing') GROUP BY phase`,
    );
    return new Map(rows.map(({ phase, count }) => [String(phase), Number(count)]));
  }

  /** Bytes that running captures may still need. */
  reservedBytes(): number {
    return Number(
      this.#one(
        `SELECT coalesce(sum(max(ceiling_bytes - durable_bytes, 0)), 0) AS bytes FROM captures WHERE ${running}`,
      )?.bytes,
    );
  }

  /** When that running capture became more durable which has not for the longest time; undefined when none runs. */
  oldestProgressMs(): number | undefined {
    const row = this.#one(
      `SELECT min(CASE WHEN progress_at <> '' THEN progress_at ELSE requested_at END) AS at
       FROM captures WHERE phase IN ('acquiring', 'sealing')`,
    );
    return timeOf(row?.at);
  }

  /** What waits for its analysis or is being analysed, and since when the oldest. */
  analysisBacklog(): Backlog {
    const first = this.#one(
      `SELECT count(*) AS count, min(ended_at) AS at FROM captures WHERE phase IN ('sealed', 'analyzing')`,
    );
    const again = this.#one(`SELECT count(*) AS count, min(requested_at) AS at FROM analyses_again WHERE ending = ''`);
    const times = [timeOf(first?.at), timeOf(again?.at)].filter((time) => time !== undefined);
    return {
      count: Number(first?.count) + Number(again?.count),
      atMs: times.length === 0 ? undefined : Math.min(...times),
    };
  }

  /** Images that are not deleted, by place. */
  places(): PlaceTotals[] {
    return this.#all(
      `SELECT place, count(*) AS images, sum(stored_bytes) AS bytes, sum(place = 'spool' AND trouble <> '') AS notStored,
         sum(place <> 'deleting' AND flaw <> '') AS damaged,
         min(max(sealed_at, verified_at)) AS read_at
       FROM storage WHERE place IN ('spool', 'store', 'deleting') GROUP BY place`,
    ).map((row) => ({
      place: String(row.place),
      images: Number(row.images),
      bytes: Number(row.bytes),
      notStored: Number(row.notStored),
      damaged: Number(row.damaged),
      oldestReadAtMs: timeOf(row.read_at) ?? 0,
    }));
  }

  /** Captures whose evidence is on hold. */
  held(): number {
    return Number(this.#one('SELECT count(DISTINCT capture_id) AS count FROM holds')?.count);
  }

  /** Findings of each severity that are on record, and when the newest capture with one was taken. */
  findings(): Map<string, Backlog> {
    const rows = this.#all(
      `SELECT severity, count(*) AS count, max(ended_at) AS at FROM findings LEFT JOIN captures ON id = capture_id GROUP BY severity`,
    );
    return new Map(rows.map((row) => [String(row.severity), { count: Number(row.count), atMs: timeOf(row.at) }]));
  }

  /** Notifications on record by webhook and state, and since when the oldest. */
  notifications(): ({ readonly webhook: string; readonly state: string } & Backlog)[] {
    return this.#all(
      'SELECT webhook, state, count(*) AS count, min(at) AS at FROM notifications GROUP BY webhook, state',
    ).map((row) => ({
      webhook: String(row.webhook),
      state: String(row.state),
      count: Number(row.count),
      atMs: timeOf(row.at),
    }));
  }

  schedules(): ScheduleTotals[] {
    return this.#all('SELECT name, created_at, paused_by FROM schedules ORDER BY name').map((row) => ({
      name: String(row.name),
      createdAtMs: timeOf(row.created_at) ?? 0,
      paused: row.paused_by !== '',
    }));
  }

  /** The runs of a schedule's newest tick, by how they stand. */
  newestRuns(schedule: string): { readonly state: string; readonly reason: string; readonly count: number }[] {
    return this.#all(
      `SELECT state, reason, count(*) AS count FROM runs
       WHERE schedule = ?1 AND tick = (SELECT max(tick) FROM runs WHERE schedule = ?1) GROUP BY state, reason`,
      schedule,
    ).map((row) => ({ state: String(row.state), reason: String(row.reason), count: Number(row.count) }));
  }

  /** The nodes that one of a schedule's two newest ticks came to: those that it is for now. */
  nodesOf(schedule: string): string[] {
    const newest = this.#tickBefore(schedule, '~');
    const second = newest === undefined ? undefined : this.#tickBefore(schedule, newest);
    return this.#all(
      `SELECT DISTINCT node_name FROM runs WHERE schedule = ? AND tick >= ? AND node_name <> ''`,
      schedule,
      second ?? newest ?? '~',
    ).map((row) => String(row.node_name));
  }

  /** The first tick of a schedule that came to a node, in ms since 1970. */
  firstTickMs(schedule: string, node: string): number | undefined {
    const row = this.#one('SELECT min(tick) AS at FROM runs WHERE schedule = ? AND node_name = ?', schedule, node);
    return timeOf(row?.at);
  }

  #tickBefore(schedule: string, tick: string): string | undefined {
    const row = this.#one(
      `SELECT tick FROM runs WHERE schedule = ? AND tick < ? AND node_name <> '' ORDER BY tick DESC LIMIT 1`,
      schedule,
      tick,
    );
    return row && String(row.tick);
  }

  /** How a node's captures have gone, by a schedule, or by hand when it is empty; undefined when none has ended. */
  record(schedule: string, node: string): NodeRecord | undefined {
    const newest = ended.flatMap((outcome) => {
      const row = this.#one(
        `SELECT ended_at, outcome_reason FROM captures WHERE schedule = ? AND node_name = ? AND outcome = ?
         ORDER BY ended_at DESC LIMIT 1`,
        schedule,
        node,
        outcome,
      );
      return row === undefined
        ? []
        : [{ outcome, reason: String(row.outcome_reason), endedAtMs: timeOf(row.ended_at) ?? 0, at: row.ended_at }];
    });
    const last = newest.sort((a, b) => b.endedAtMs - a.endedAtMs)[0];
    if (last === undefined) return undefined;
    const success = newest.find(({ outcome }) => outcome === 'complete');
    const { outcome, reason, endedAtMs } = last;
    const failures = outcome === 'complete' ? 0 : this.#failuresSince(schedule, node, String(success?.at ?? ''));
    return { outcome, reason, endedAtMs, succeededAtMs: success?.endedAtMs, failures };
  }

  #failuresSince(schedule: string, node: string, at: string): number {
    const row = this.#one(
      `SELECT count(*) AS count FROM captures
       WHERE schedule = ? AND node_name = ? AND outcome IN ('partial', 'failed') AND ended_at > ?`,
      schedule,
      node,
      at,
    );
    return Number(row?.count);
  }

  /** Rows that a migration has set aside. */
  quarantinedRows(): number {
    return Number(this.#one('SELECT count(*) AS count FROM quarantine')?.count);
  }

  #statement(sql: string): ReturnType<DatabaseSync['prepare']> {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }

  #all(sql: string, ...values: string[]): Record<string, unknown>[] {
    return this.#statement(sql).all(...values);
  }

  #one(sql: string, ...values: string[]): Record<string, unknown> | undefined {
    return this.#statement(sql).get(...values);
  }
}

function timeOf(value: unknown): number | undefined {
  const time = typeof value === 'string' && value !== '' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
