import type { DatabaseSync } from 'node:sqlite';
import { transact } from './database.ts';

/** What somebody allows somebody else: one capture of this node for this reason. */
export interface Approval {
  readonly nodeName: string;
  readonly reason: string;
  readonly approvedBy: string;
  /** ISO 8601, UTC. */
  readonly expiresAt: string;
}

/** The approvals that were given and not used yet. */
export class Approvals {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** The same person's approval of the same replaces the one before. Throws storage_failed. */
  put({ nodeName, reason, approvedBy, expiresAt }: Approval): void {
    transact(this.#database, () => {
      this.#database.prepare('DELETE FROM approvals WHERE expires_at < ?').run(new Date().toISOString());
      this.#database
        .prepare('INSERT OR REPLACE INTO approvals (node_name, reason, approved_by, expires_at) VALUES (?, ?, ?, ?)')
        .run(nodeName, reason, approvedBy, expiresAt);
    });
  }

  /** An approval by somebody other than the requester that has not expired. */
  find(nodeName: string, reason: string, requestedBy: string, now: Date): Approval | undefined {
    const row = this.#database
      .prepare(
        `SELECT * FROM approvals WHERE node_name = ? AND reason = ? AND approved_by <> ? AND expires_at >= ?
         ORDER BY expires_at LIMIT 1`,
      )
      .get(nodeName, reason, requestedBy, now.toISOString());
    if (row === undefined) return undefined;
    return { nodeName, reason, approvedBy: String(row.approved_by), expiresAt: String(row.expires_at) };
  }

  /** Uses an approval up; call it in the transaction that creates the capture. */
  use({ nodeName, reason, approvedBy }: Approval): boolean {
    const { changes } = this.#database
      .prepare('DELETE FROM approvals WHERE node_name = ? AND reason = ? AND approved_by = ?')
      .run(nodeName, reason, approvedBy);
    return changes > 0;
  }
}
