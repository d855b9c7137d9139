import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import { evidenceDeleted, type SealedImage, type StorageRecord } from '../store/storage-record.ts';
import type { StoredObject } from '../store/store.ts';
import { AuditLog } from './audit-log.ts';
import { transact } from './database.ts';
import { Reanalyses } from './reanalyses.ts';
import { holdsOf, mostHolds, sealedRows, toRecord, toSealed } from './storage-row.ts';

/** What the audit log calls the events of custody. None of them changes the state of a capture. */
export const custodyActions = [
  'stored',
  'verification_asked',
  'verified',
  'flaw_found',
  'held',
  'released',
  'deletion_begun',
  'deletion_withdrawn',
  'deleted',
] as const;

type CustodyAction = (typeof custodyActions)[number];

/**
 * Where sealed evidence is, who holds it and what became of it. Each event of custody is one transaction with its audit record, and durable when
 * the call returns. Every method throws storage_failed when the disk does not take it.
 */
export class StorageJournal {
  readonly #database: DatabaseSync;
  readonly #audit: AuditLog;
  readonly #again: Reanalyses;

  /** `again` knows which analysis runs. */
  constructor(database: DatabaseSync, again: Reanalyses = new Reanalyses(database)) {
    this.#database = database;
    this.#again = again;
    this.#audit = new AuditLog(database);
  }

  /** Undefined when there never was an image. */
  get(captureId: string): StorageRecord | undefined {
    const row = this.#one('SELECT * FROM storage WHERE capture_id = ?', captureId);
    return row && toRecord(row, holdsOf(this.#database, captureId));
  }

  /** Throws capture_unknown, capture_running before it is sealed, evidence_missing when it ended without an image. */
  sealed(captureId: string): SealedImage {
    const row = this.#one(`${sealedRows} WHERE capture_id = ?`, captureId);
    const sealed = row && toSealed(row, holdsOf(this.#database, captureId));
    if (sealed !== undefined) return sealed;
    const phase = this.#one('SELECT phase FROM captures WHERE id = ?', captureId)?.phase;
    if (phase === undefined)
      throw new Fault('capture_unknown', `there is no capture ${captureId}: list them with 'kcorder get captures'`);
    if (phase === 'done') throw new Fault('evidence_missing', `capture ${captureId} ended without an image`);
    throw new Fault('capture_running', `capture ${captureId} is ${String(phase)}: wait until its image is sealed`);
  }

  /** Why an image is not in the store, or not wholly deleted; empty when nothing stands in the way any more. */
  noteLastError(captureId: string, lastError: string): void {
    const before = this.#one('SELECT trouble FROM storage WHERE capture_id = ?', captureId)?.trouble;
    if (before === lastError) return;
    transact(this.#database, () =>
      this.#run('UPDATE storage SET trouble = ? WHERE capture_id = ?', lastError, captureId),
    );
  }

  /** The store has it. False when it is not in the spool any more: it was deleted meanwhile, and nothing is changed. */
  noteStored(captureId: string, object: StoredObject, manifestSha256: string): boolean {
    return transact(this.#database, () => {
      const { file, location, bytes, crc32c, generation } = object;
      const changed = this.#run(
        `UPDATE storage SET place = 'store', trouble = '', flaw = '', leftovers = 1, file = ?, location = ?, stored_bytes = ?, crc32c = ?,
           generation = ?, manifest_sha256 = ? WHERE capture_id = ? AND place = 'spool'`,
        file,
        location,
        bytes,
        crc32c,
        generation,
        manifestSha256,
        captureId,
      );
      if (changed === 1)
        this.#append(captureId, 'collector', 'stored', { location, bytes, crc32c, generation, manifestSha256 });
      return changed === 1;
    });
  }

  /** Nothing is beside the stored object any more. */
  noteTidied(captureId: string): void {
    transact(this.#database, () => this.#run('UPDATE storage SET leftovers = 0 WHERE capture_id = ?', captureId));
  }

  /** Somebody asks for a verification; call it before the first byte is read. */
  noteVerificationAsked(captureId: string, actor: string): void {
    transact(this.#database, () => this.#append(captureId, actor, 'verification_asked', {}));
  }

  /** The whole was read, and is what was sealed. */
  noteVerified(captureId: string, actor: string): void {
    transact(this.#database, () => {
      const at = this.#append(captureId, actor, 'verified', {});
      const set = `UPDATE storage SET verified_at = ?1, checked_at = ?1, flaw = '' WHERE capture_id = ?2`;
      this.#run(set, at, captureId);
    });
  }

  /** The whole was read, or could not be, and is not what was sealed. */
  noteDamage(captureId: string, damage: string, actor: string): void {
    transact(this.#database, () => {
      const at = this.#append(captureId, actor, 'flaw_found', { flaw: damage });
      this.#run('UPDATE storage SET checked_at = ?, flaw = ? WHERE capture_id = ?', at, damage, captureId);
    });
  }

  /** Nothing deletes it until it is released. Throws what `sealed` throws, evidence_deleted, and resource_exhausted at 16 holds. */
  hold(captureId: string, actor: string, reason: string): StorageRecord {
    return transact(this.#database, () => {
      const { holds } = this.#there(captureId);
      if (holds.length >= mostHolds) {
        throw new Fault(
          'resource_exhausted',
          `the evidence of capture ${captureId} was not held: it already has ${mostHolds} holds, the most it can have. Each of them protects it; 'kcorder release ${captureId}' removes them all`,
        );
      }
      const at = this.#append(captureId, actor, 'held', { reason });
      this.#run('INSERT INTO holds (capture_id, at, by, reason) VALUES (?, ?, ?, ?)', captureId, at, actor, reason);
      return this.sealed(captureId).record;
    });
  }

  /** Removes every hold; no error when there is none. Throws what `sealed` throws, and evidence_deleted. */
  release(captureId: string, actor: string, reason: string): StorageRecord {
    return transact(this.#database, () => {
      this.#there(captureId);
      const holds = this.#holds(captureId);
      if (holds.count > 0)
        this.#append(captureId, actor, 'released', { reason, holds: holds.count, holdsSha256: holds.sha256 });
      this.#run('DELETE FROM holds WHERE capture_id = ?', captureId);
      return this.sealed(captureId).record;
    });
  }

  /** Returns the number of holds, and a SHA-256 over them, oldest first: each is on record as `held`, and there may be any number. */
  #holds(captureId: string): { count: number; sha256: string } {
    const digest = createHash('sha256');
    let count = 0;
    const select = 'SELECT at, by, reason FROM holds WHERE capture_id = ? ORDER BY rowid';
    for (const { at, by, reason } of this.#database.prepare(select).iterate(captureId)) {
      digest.update(`${JSON.stringify([at, by, reason])}\n`);
      count += 1;
    }
    return { count, sha256: digest.digest('hex') };
  }

  /** Which object of a capture the store has on record, deleted or not; empty when none. */
  storedFile(captureId: string): string {
    return String(this.#one('SELECT file FROM storage WHERE capture_id = ?', captureId)?.file ?? '');
  }

  /**
   * Puts on record that it is to be deleted: from here on nobody reads it, and a crash ends in its deletion. No error when it is on record or
   * deleted already. An analysis that was asked for again and still waits is ended: whoever may ask for one cannot keep evidence from being
   * deleted. Throws what `sealed` throws, capture_running before it is done or while an analysis of it runs, evidence_held.
   */
  beginDeletion(captureId: string, actor: string, reason: string): void {
    transact(this.#database, () => {
      const { record } = this.sealed(captureId);
      if (record.place.kind === 'deleted') return;
      const [hold] = record.holds;
      if (hold !== undefined) {
        throw new Fault(
          'evidence_held',
          `the evidence of capture ${captureId} is on hold by ${hold.by} (${hold.reason}): it can be deleted when 'kcorder release ${captureId}' has taken the hold away`,
        );
      }
      const isDone = this.#one('SELECT phase FROM captures WHERE id = ?', captureId)?.phase === 'done';
      const at = this.#append(captureId, actor, 'deletion_begun', { reason });
      if (!isDone || !this.#again.giveUp(captureId, at)) {
        throw new Fault(
          'capture_running',
          `the evidence of capture ${captureId} was not deleted: the capture is not done, or an analysis of it runs. Retry when that has ended`,
        );
      }
      this.#run(
        `UPDATE storage SET place = 'deleting', trouble = '', deleted_at = ?, deleted_by = ?, delete_reason = ? WHERE capture_id = ?`,
        at,
        actor,
        reason,
        captureId,
      );
    });
    this.#again.tell(captureId);
  }

  /** The store keeps it, by its own word whole: it is where it was before. */
  withdrawDeletion(captureId: string, why: string): void {
    transact(this.#database, () => {
      const changed = this.#run(
        `UPDATE storage SET place = CASE WHEN location = '' THEN 'spool' ELSE 'store' END,
           trouble = '', deleted_at = '', deleted_by = '', delete_reason = '' WHERE capture_id = ? AND place = 'deleting'`,
        captureId,
      );
      if (changed === 1) this.#append(captureId, 'collector', 'deletion_withdrawn', { why });
    });
  }

  /** Nothing of it is left but this record. */
  noteDeleted(captureId: string): void {
    transact(this.#database, () => {
      const { deleted_by: by, delete_reason: reason } =
        this.#one('SELECT * FROM storage WHERE capture_id = ?', captureId) ?? {};
      const changed = this.#run(
        `UPDATE storage SET place = 'deleted', trouble = '', leftovers = 0 WHERE capture_id = ? AND place = 'deleting'`,
        captureId,
      );
      if (changed !== 1) return;
      this.#run('DELETE FROM findings WHERE capture_id = ?', captureId);
      this.#append(captureId, 'collector', 'deleted', { by, reason });
    });
  }

  #there(captureId: string): StorageRecord {
    const { record } = this.sealed(captureId);
    if (record.place.kind === 'deleted') throw evidenceDeleted(captureId, record.place);
    return record;
  }

  #append(captureId: string, actor: string, action: CustodyAction, detail: unknown): string {
    const at = new Date().toISOString();
    this.#audit.append({ at, captureId, actor, action, detail });
    return at;
  }

  #one(sql: string, ...values: string[]): Record<string, unknown> | undefined {
    return this.#database.prepare(sql).get(...values);
  }

  #run(sql: string, ...values: (string | number)[]): number {
    return Number(this.#database.prepare(sql).run(...values).changes);
  }
}
