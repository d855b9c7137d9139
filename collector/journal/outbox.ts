import type { DatabaseSync } from 'node:sqlite';
import { transact } from './database.ts';

/** Something to tell one webhook. Times are ISO 8601, UTC. */
export interface Waiting {
  readonly id: string;
  readonly webhook: string;
  readonly event: string;
  /** The same webhook is told the same key once; empty: whenever it comes. */
  readonly key: string;
  readonly at: string;
  readonly body: string;
  readonly dueAt: string;
  /** Joins it to the one before of the same topic. */
  readonly joining?: Joining;
}

/** How one that waits for its first attempt takes in the next of its topic. Otherwise the next is due when `quietMs` have passed since. */
export interface Joining {
  readonly topic: string;
  readonly quietMs: number;
  join(earlierBody: string): string;
}

/** One that is being delivered. */
export interface Claimed {
  readonly id: string;
  readonly at: string;
  readonly body: string;
  /** This one included. */
  readonly attempts: number;
}

/** An audit record that may have to be told. */
export interface Unread {
  readonly seq: number;
  readonly captureId: string;
  readonly action: string;
}

/** What webhooks have been and are still to be told. Every change is durable when the call returns. Throws storage_failed. */
export class Outbox {
  readonly #database: DatabaseSync;
  readonly #mostWaiting: number;

  /** `mostWaiting` of one webhook. */
  constructor(database: DatabaseSync, mostWaiting = 10_000) {
    this.#database = database;
    this.#mostWaiting = mostWaiting;
  }

  /**
   * Adds all of them. `readThrough` goes into the same transaction: up to which audit record everything has been told. Gives the webhooks for
   * which an older notification had to go, once for each: of those that wait, complete captures first, then the oldest.
   */
  put(waiting: readonly Waiting[], readThrough?: number): string[] {
    return transact(this.#database, () => {
      if (readThrough !== undefined) this.#run('UPDATE notifications_read SET audit_seq = ?', readThrough);
      return waiting.flatMap((one) => (this.#putOne(one) && this.#crowd(one.webhook) ? [one.webhook] : []));
    });
  }

  /** False when it was told before or is part of another now. */
  #putOne({ joining, ...one }: Waiting): boolean {
    const last = joining && this.#lastOf(one.webhook, joining.topic);
    if (joining && last?.state === 'waiting' && last.attempts === 0) {
      this.#run('UPDATE notifications SET body = ? WHERE id = ?', joining.join(String(last.body)), String(last.id));
      return false;
    }
    const quietUntilMs = joining && last ? Date.parse(String(last.at)) + joining.quietMs : 0;
    const dueMs = Math.max(quietUntilMs, Date.parse(one.dueAt));
    const { changes } = this.#run(
      `INSERT OR IGNORE INTO notifications (id, webhook, event, key, topic, at, body, next_attempt_at, state)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting')`,
      one.id,
      one.webhook,
      one.event,
      one.key,
      joining?.topic ?? '',
      one.at,
      one.body,
      new Date(dueMs).toISOString(),
    );
    return changes > 0;
  }

  #lastOf(webhook: string, topic: string): Record<string, unknown> | undefined {
    return this.#database
      .prepare('SELECT * FROM notifications WHERE webhook = ? AND topic = ? ORDER BY at DESC, rowid DESC LIMIT 1')
      .get(webhook, topic);
  }

  #crowd(webhook: string): boolean {
    const row = this.#database
      .prepare(`SELECT count(*) AS count FROM notifications WHERE webhook = ? AND state = 'waiting'`)
      .get(webhook);
    if (Number(row?.count) <= this.#mostWaiting) return false;
    const { changes } = this.#run(
      `UPDATE notifications SET state = 'failed', reason = 'crowded_out' WHERE id = (
         SELECT id FROM notifications WHERE webhook = ? AND state = 'waiting'
         ORDER BY event <> 'capture_complete', at, rowid LIMIT 1)`,
      webhook,
    );
    return changes > 0;
  }

  /** Takes the one that is due for the longest time, and counts the attempt; undefined when none is due. */
  claim(webhook: string, now: string): Claimed | undefined {
    const row = this.#database
      .prepare(
        `SELECT id, at, body, attempts FROM notifications WHERE webhook = ? AND state = 'waiting' AND next_attempt_at <= ?
         ORDER BY next_attempt_at, rowid LIMIT 1`,
      )
      .get(webhook, now);
    if (row === undefined) return undefined;
    const [id, attempts] = [String(row.id), Number(row.attempts) + 1];
    this.#change('UPDATE notifications SET attempts = ? WHERE id = ?', attempts, id);
    return { id, attempts, at: String(row.at), body: String(row.body) };
  }

  /** When the next one is due; undefined when none waits. */
  nextDue(webhook: string): string | undefined {
    const row = this.#database
      .prepare(`SELECT min(next_attempt_at) AS due FROM notifications WHERE webhook = ? AND state = 'waiting'`)
      .get(webhook);
    return row?.due === null || row === undefined ? undefined : String(row.due);
  }

  settle(id: string, state: 'sent' | 'failed', reason: string): void {
    this.#change('UPDATE notifications SET state = ?, reason = ? WHERE id = ?', state, reason, id);
  }

  postpone(id: string, until: string, reason: string): void {
    this.#change(
      `UPDATE notifications SET next_attempt_at = ?, reason = ? WHERE id = ? AND state = 'waiting'`,
      until,
      reason,
      id,
    );
  }

  /** Gives up what has waited since before then. Gives how many. */
  giveUp(before: string): number {
    return this.#change(
      `UPDATE notifications SET state = 'failed', reason = 'given_up' WHERE state = 'waiting' AND at < ?`,
      before,
    );
  }

  /** Forgets what is not waiting and from before then. */
  prune(before: string): void {
    this.#change(`DELETE FROM notifications WHERE state IN ('sent', 'failed') AND at < ?`, before);
  }

  /** From now on audit records are to be told; what came before is not, unless telling had begun earlier already. */
  beginReading(): void {
    this.#change(
      `INSERT INTO notifications_read (audit_seq) SELECT coalesce((SELECT max(seq) FROM audit), 0)
       WHERE NOT EXISTS (SELECT 1 FROM notifications_read)`,
    );
  }

  /** Nobody is to be told of what comes next. */
  endReading(): void {
    if (this.#database.prepare('SELECT 1 FROM notifications_read').get() === undefined) return;
    this.#change('DELETE FROM notifications_read');
  }

  /** The newest audit record. */
  newestRecord(): number {
    return Number(this.#database.prepare('SELECT coalesce(max(seq), 0) AS seq FROM audit').get()?.seq);
  }

  /** Audit records that nobody was told of, oldest first. */
  unread(limit: number): Unread[] {
    return this.#database
      .prepare(
        `SELECT seq, capture_id, action FROM audit WHERE seq > (SELECT audit_seq FROM notifications_read) ORDER BY seq LIMIT ?`,
      )
      .all(limit)
      .map((row) => ({ seq: Number(row.seq), captureId: String(row.capture_id), action: String(row.action) }));
  }

  #change(sql: string, ...values: (string | number)[]): number {
    return transact(this.#database, () => Number(this.#run(sql, ...values).changes));
  }

  #run(sql: string, ...values: (string | number)[]) {
    return this.#database.prepare(sql).run(...values);
  }
}
