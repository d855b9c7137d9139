import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';

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

  /** Appends; call it in the transaction of the change that it records. */
  append(record: AuditRecord): void {
    const last = this.#database.prepare('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1').get();
    const seq = Number(last?.seq ?? 0) + 1;
    const hash = hashOf(String(last?.hash ?? ''), seq, record);
    this.#database
      .prepare('INSERT INTO audit (seq, at, capture_id, actor, action, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(seq, record.at, record.captureId, record.actor, record.action, JSON.stringify(record.detail), hash);
  }

  /**
   * The records of one capture, oldest first: the first 1,000 and the newest 1,000, what lies between as one record `left_out` with their number.
   * Of a detail beyond 64 KiB, which older versions wrote, only the size.
   */
  of(captureId: string): AuditRecord[] {
    const all = 'FROM audit WHERE capture_id = ?';
    const detail = `CASE WHEN octet_length(detail) <= ${longestDetail} THEN detail ELSE json_object('leftOutBytes', octet_length(detail)) END`;
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

  /** The first record that does not follow from the one before it; undefined when the chain holds. */
  firstBroken(): number | undefined {
    let previous = '';
    let expected = 1;
    for (const row of this.#database.prepare('SELECT * FROM audit ORDER BY seq').iterate()) {
      const seq = Number(row.seq);
      if (seq !== expected || row.hash !== hashOf(previous, seq, toRecord(row))) return expected;
      previous = String(row.hash);
      expected += 1;
    }
    return undefined;
  }
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
