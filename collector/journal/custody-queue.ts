import type { DatabaseSync } from 'node:sqlite';
import type { RetentionRecord, SealedImage } from '../store/storage-record.ts';
import type { ObjectName } from '../store/store.ts';
import { holdsOf, sealedRows, toRetained, toSealed } from './storage-row.ts';

const clockSlackMs = 3_600_000;

/** What is to be done with evidence next, as the disk has it: so a restart goes on where a killed collector stopped. */
export class CustodyQueue {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * The oldest images in the spool that may be packed and stored: of captures that are done and were sealed by then, and, if asked for, those
   * that wait for their analysis. What was sealed in the future, by a clock that was put right since, may be stored too.
   */
  toKeep(sealedBy: string, waitingToo: boolean, limit: number): SealedImage[] {
    const future = new Date(Date.now() + clockSlackMs).toISOString();
    return this.#database
      .prepare(
        `${sealedRows} WHERE place = 'spool' AND (sealed_at <= ? OR sealed_at > ?) AND (phase = 'done' OR (phase = 'sealed' AND ?))
         ORDER BY sealed_at LIMIT ?`,
      )
      .all(sealedBy, future, waitingToo ? 1 : 0, limit)
      .flatMap((row) => toSealed(row, holdsOf(this.#database, String(row.capture_id))) ?? []);
  }

  /** Captures whose image is in the spool. */
  inSpool(): string[] {
    const rows = this.#database.prepare(`SELECT capture_id FROM storage WHERE place = 'spool'`).all();
    return rows.map((row) => String(row.capture_id));
  }

  /** Of the stored objects the first and the last by where they are: when both are of one store, all are. */
  outermost(): (ObjectName & { readonly location: string })[] {
    const stored = `FROM storage WHERE place IN ('store', 'deleting') AND location <> '' ORDER BY location`;
    return ['ASC', 'DESC'].flatMap((order) =>
      this.#database
        .prepare(`SELECT capture_id, file, location ${stored} ${order} LIMIT 1`)
        .all()
        .map((row) => ({
          captureId: String(row.capture_id),
          file: String(row.file),
          location: String(row.location),
        })),
    );
  }

  /** What is stored and still has its plain image or a draft beside it. */
  toTidy(): SealedImage[] {
    return this.#database
      .prepare(`${sealedRows} WHERE leftovers = 1 AND place = 'store'`)
      .all()
      .flatMap((row) => toSealed(row, holdsOf(this.#database, String(row.capture_id))) ?? []);
  }

  /** Captures whose deletion is on record and not yet finished. */
  toRemove(): string[] {
    const rows = this.#database.prepare(`SELECT capture_id FROM storage WHERE place = 'deleting'`).all();
    return rows.map((row) => String(row.capture_id));
  }

  /** The stored image that nobody has looked at for the longest time, if that was by then; `except` cannot be read at the moment. */
  toVerify(checkedBy: string, except: ReadonlySet<string>): SealedImage | undefined {
    const rows = this.#database
      .prepare(
        `${sealedRows} WHERE place = 'store' AND max(sealed_at, checked_at) <= ? ORDER BY max(sealed_at, checked_at) LIMIT ?`,
      )
      .all(checkedBy, except.size + 1);
    const row = rows.find(({ capture_id: id }) => !except.has(String(id)));
    return row && toSealed(row, holdsOf(this.#database, String(row.capture_id)));
  }

  /** Who made evidence that is not deleted: pairs of schedule, empty for people, and node. */
  makers(): { readonly schedule: string; readonly nodeName: string }[] {
    const rows = this.#database
      .prepare(`SELECT DISTINCT schedule, node_name FROM storage WHERE place IN ('spool', 'store')`)
      .all();
    return rows.map((row) => ({ schedule: String(row.schedule), nodeName: String(row.node_name) }));
  }

  /** What a schedule, or people when it is empty, made of a node and is not deleted. */
  madeBy(schedule: string, nodeName: string): RetentionRecord[] {
    return this.#database
      .prepare(
        `SELECT storage.*, requested_at, phase = 'done'
           AND NOT EXISTS (SELECT 1 FROM holds WHERE holds.capture_id = storage.capture_id) AS deletable
         FROM storage JOIN captures ON id = capture_id
         WHERE storage.schedule = ? AND storage.node_name = ? AND place IN ('spool', 'store') ORDER BY sequence`,
      )
      .all(schedule, nodeName)
      .map(toRetained);
  }

  /** The newest moment that is on record of anything; empty when nothing is. */
  newestMoment(): string {
    return String(this.#database.prepare('SELECT at FROM audit ORDER BY seq DESC LIMIT 1').get()?.at ?? '');
  }
}
