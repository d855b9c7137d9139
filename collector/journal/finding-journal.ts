import type { DatabaseSync } from 'node:sqlite';
import { transact } from './database.ts';

/** Something in the results of a capture's analysis that a responder should look at. */
export interface Finding {
  readonly severity: 'info' | 'warning' | 'critical';
  /** One word of the closed list in analysis/findings.ts. */
  readonly rule: string;
  /** One sentence for people. */
  readonly detail: string;
}

/** What was found, by capture. */
export class FindingJournal {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Takes the place of what an earlier analysis found. Throws storage_failed. */
  put(captureId: string, findings: readonly Finding[]): void {
    transact(this.#database, () => {
      this.#database.prepare('DELETE FROM findings WHERE capture_id = ?').run(captureId);
      const insert = this.#database.prepare(
        'INSERT INTO findings (capture_id, severity, rule, detail) VALUES (?, ?, ?, ?)',
      );
      for (const { severity, rule, detail } of findings) insert.run(captureId, severity, rule, detail);
    });
  }

  /** The gravest first. */
  of(captureId: string): Finding[] {
    return this.#database
      .prepare(
        `SELECT severity, rule, detail FROM findings WHERE capture_id = ?
         ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, rowid`,
      )
      .all(captureId)
      .map((row) => ({
        severity: row.severity as Finding['severity'],
        rule: String(row.rule),
        detail: String(row.detail),
      }));
  }
}
