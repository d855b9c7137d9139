// Why it is done this way: docs/decisions/025-deletion-and-tombstone.md

import { Fault } from '@kcorder/proto/fault.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { SealedImage } from '../store/storage-record.ts';
import type { EvidenceStore } from '../store/store.ts';
import { manifestFile } from './archiver.ts';
import { packedName } from './packing.ts';

/** What deleting needs of the record: see the journal. */
export interface DeletionRecord {
  sealed(captureId: string): SealedImage;
  storedFile(captureId: string): string;
  beginDeletion(captureId: string, actor: string, reason: string): void;
  withdrawDeletion(captureId: string, why: string): void;
  noteLastError(captureId: string, lastError: string): void;
  noteDeleted(captureId: string): void;
}

export interface DeletionDeps {
  readonly record: DeletionRecord;
  readonly queue: { toRemove(): string[] };
  readonly store: EvidenceStore;
  readonly directory: EvidenceDirectory;
  /** Stops whatever else is done with a capture's evidence. */
  letGo(captureId: string): Promise<void>;
  readonly events: {
    deleted(captureId: string, actor: string): void;
    /** It is on record and tried again. */
    deletionFailed(captureId: string, error: unknown): void;
  };
}

/**
 * Deletes evidence: the intent is on record first, then the objects in the store, then the files here, then the record says that nothing is left.
 * A crash at any point ends in deleted. Only a store that keeps its object by a retention of its own takes the intent back.
 */
export class Deletions {
  readonly #deps: DeletionDeps;
  readonly #running = new Map<string, Promise<void>>();

  constructor(deps: DeletionDeps) {
    this.#deps = deps;
  }

  /**
   * No error when it is deleted already. Throws capture_unknown, capture_running, evidence_missing, evidence_held, evidence_retained; with storage_failed
   * or store_refused it is on record and goes on by itself.
   */
  async delete(captureId: string, actor: string, reason: string): Promise<void> {
    this.#deps.record.beginDeletion(captureId, actor, reason);
    await this.#finish(captureId);
  }

  /** Goes on with everything that is on record and not finished: after a crash, and from time to time. */
  async goOn(signal: AbortSignal): Promise<void> {
    for (const captureId of this.#deps.queue.toRemove()) {
      const failed = await this.#finish(captureId).catch(Fault.from);
      // The store is not there: it is no better for the others.
      if (signal.aborted || (failed instanceof Fault && failed.retry)) return;
    }
  }

  /** Resolves when no deletion is in the middle of a step. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running.values());
  }

  #finish(captureId: string): Promise<void> {
    const running =
      this.#running.get(captureId) ?? this.#remove(captureId).finally(() => this.#running.delete(captureId));
    this.#running.set(captureId, running);
    return running;
  }

  async #remove(captureId: string): Promise<void> {
    const { record, store, directory, events, letGo } = this.#deps;
    await letGo(captureId);
    const { record: found, evidence } = record.sealed(captureId);
    if (found.place.kind !== 'deleted' || found.place.left === '') return;
    const stored = record.storedFile(captureId);
    // What is on record comes first: when the store keeps that, nothing was removed yet. The others may be there after a crash.
    const files = new Set([...(stored === '' ? [] : [stored]), packedName(evidence.file), evidence.file, manifestFile]);
    let removed = '';
    try {
      for (const file of files) {
        await store.delete({ captureId, file });
        removed = file;
      }
      await directory.remove(captureId);
    } catch (error) {
      const fault = Fault.from(error);
      events.deletionFailed(captureId, error);
      if (fault.code === 'evidence_retained' && (removed === '' || stored === '')) {
        record.withdrawDeletion(captureId, fault.message);
        throw fault;
      }
      record.noteLastError(captureId, fault.message);
      const message = `the deletion of the evidence of capture ${captureId} is on record and goes on by itself: ${fault.message}`;
      throw new Fault(fault.code, message, { cause: error });
    }
    record.noteDeleted(captureId);
    events.deleted(captureId, found.place.by);
  }
}
