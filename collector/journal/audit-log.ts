import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { transact } from './database.ts';

/** One line of the audit log. */
export interface AuditRecord {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly captureId: string;
  /** Who did it: an operator's or node's identity, or the collector itself. */
  readonly actor: string;
  readonly action: string;
  readonly detail: unknown;
}

/** A place in the log: the number of a record, and its hash, which covers every record before it too. 0 and empty before the first. */
export interface AuditHead {
  readonly seq: number;
  /** SHA-256, lower-case hex. */
  readonly hash: string;
}

/** The first record that does not follow from the one before it. */
export interface AuditBreak {
  readonly seq: number;
  readonly detail: string;
}

/** How far the chain was followed, and where it breaks, if it does. */
export interface Followed {
  readonly head: AuditHead;
  readonly broken?: AuditBreak;
  /** True when records behind the head were not looked at. */
  readonly more: boolean;
}

/** Before the first record. */
export const auditStart: AuditHead = { seq: 0, hash: '' };

const mostRecords = 1_000;
const longestDetail = 65_536;

const hashOf = (previous: string, seq: number, record: AuditRecord): string =>
  createHash('sha256')
    .update(JSON.stringify([previous, seq, record.at, record.captureId, record.actor, record.action, record.detail]))
    .digest('hex');

/** The append-only log of who did what to which capture. Each record's hash covers the record before it. */
export class AuditLog {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Appends; call it in the transaction of the change that it records. Of a detail beyond 64 KiB it keeps the size and the SHA-256: nobody can make
   * an act impossible by what the record of it would say.
   */
  append(told: AuditRecord): void {
    // The database gives no half of a character back as it was, and the hash would not fit.
    const record = { ...told, actor: told.actor.toWellFormed(), detail: bounded(told.detail) };
    const last = this.head();
    const seq = last.seq + 1;
    const hash = hashOf(last.hash, seq, record);
    this.#database
      .prepare('INSERT INTO audit (seq, at, capture_id, actor, action, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(seq, record.at, record.captureId, record.actor, record.action, JSON.stringify(record.detail), hash);
  }

  /**
   * The records of one capture, oldest first: the first 1,000 and the newest 1,000, what lies between as one record `left_out` with their number.
   * Of a detail beyond 64 KiB, which older versions wrote, and of one that cannot be read, only the size.
   */
  of(captureId: string): AuditRecord[] {
    const all = 'FROM audit WHERE capture_id = ? AND seq > 0';
    const detail = `CASE WHEN octet_length(detail) <= ${longestDetail} AND json_valid(detail) THEN detail ELSE json_object('leftOutBytes', octet_length(detail)) END`;
    const read = (order: 'ASC' | 'DESC', limit: number) =>
      this.#database
        .prepare(
          `SELECT at, capture_id, actor, action, ${detail} AS detail ${all} ORDER BY seq ${order} LIMIT ${limit}`,
        )
        .all(captureId)
        .map(toRecord);
    const count = Number(this.#database.prepare(`SELECT count(*) AS n ${all}`).get(captureId)?.n);
    const first = read('ASC', mostRecords);
    if (count <= mostRecords) return first;
    const last = read('DESC', Math.min(mostRecords, count - mostRecords)).reverse();
    const records = count - first.length - last.length;
    const { at } = last[0] ?? { at: '' };
    const between = { at, captureId, actor: 'collector', action: 'left_out', detail: { records } };
    return records === 0 ? [...first, ...last] : [...first, between, ...last];
  }

  /** The newest record. */
  head(): AuditHead {
    const last = this.#database.prepare('SELECT seq, hash FROM audit WHERE seq > 0 ORDER BY seq DESC LIMIT 1').get();
    return last === undefined ? auditStart : { seq: Number(last.seq), hash: String(last.hash) };
  }

  /** How far the chain was found whole the last time. */
  checkpoint(): AuditHead {
    const row = this.#database.prepare('SELECT seq, hash FROM audit_checkpoint').get();
    return row === undefined ? auditStart : { seq: Number(row.seq), hash: String(row.hash) };
  }

  /** Notes that the chain is whole up to here. Throws storage_failed. */
  noteCheckpoint({ seq, hash }: AuditHead): void {
    transact(this.#database, () => {
      this.#database.exec('DELETE FROM audit_checkpoint');
      this.#database.prepare('INSERT INTO audit_checkpoint (seq, hash) VALUES (?, ?)').run(seq, hash);
    });
  }

  /** Why the log does not hold what was noted as its head once, by its whole hash or the beginning of it; undefined when it does. */
  contradiction(noted: AuditHead): AuditBreak | undefined {
    if (noted.seq === 0) return undefined;
    const row = this.#database.prepare('SELECT hash FROM audit WHERE seq = ?').get(noted.seq);
    if (row !== undefined && String(row.hash).startsWith(noted.hash)) return undefined;
    const detail =
      row === undefined
        ? `record ${noted.seq} was there once and is gone: the log was cut off`
        : `record ${noted.seq} had the hash ${noted.hash} once and has ${row.hash}: it, or one before it, was written anew`;
    return { seq: noted.seq, detail };
  }

  /** Follows the chain behind a record that is known, at most `limit` records of it and about `mostMs`. A record before the first is in no chain and breaks it. */
  follow(after: AuditHead, limit: number, mostMs = Number.POSITIVE_INFINITY): Followed {
    const before = this.#database.prepare('SELECT seq FROM audit WHERE seq < 1 ORDER BY seq LIMIT 1').get();
    if (before !== undefined) {
      const detail = `record ${before.seq} is before the first: it was added`;
      return { head: auditStart, broken: { seq: 1, detail }, more: false };
    }
    const untilMs = performance.now() + mostMs;
    let head = after;
    let looked = 0;
    const rows = this.#database
      .prepare('SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?')
      .iterate(head.seq, limit);
    for (const row of rows) {
      const seq = head.seq + 1;
      const detail = damageOf(row, head);
      if (detail !== undefined) return { head, broken: { seq, detail }, more: false };
      head = { seq, hash: String(row.hash) };
      looked += 1;
      if (performance.now() >= untilMs) return { head, more: true };
    }
    return { head, more: looked === limit };
  }

  /** The number of the first record that does not follow from the one before it; undefined when the chain holds. */
  firstBroken(): number | undefined {
    return this.follow(auditStart, Number.MAX_SAFE_INTEGER).broken?.seq;
  }
}

function bounded(detail: unknown): unknown {
  const text = JSON.stringify(detail);
  const bytes = Buffer.byteLength(text);
  if (bytes <= longestDetail) return detail;
  return { leftOutBytes: bytes, sha256: createHash('sha256').update(text).digest('hex') };
}

/** Returns why a row is not the one right behind `before`; undefined when it is. */
function damageOf(row: Record<string, unknown>, before: AuditHead): string | undefined {
  const seq = before.seq + 1;
  if (Number(row.seq) !== seq) return `record ${seq} is missing`;
  try {
    if (row.hash === hashOf(before.hash, seq, toRecord(row))) return undefined;
  } catch {
    return `record ${seq} cannot be read`;
  }
  return `record ${seq} is not what its hash says: it was changed`;
}

function toRecord(row: Record<string, unknown>): AuditRecord {
  return {
    at: String(row.at),
    captureId: String(row.capture_id),
    actor: String(row.actor),
    action: String(row.action),
    detail: JSON.parse(String(row.detail)) as unknown,
  };
}
