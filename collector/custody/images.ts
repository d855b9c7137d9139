import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { type EvidenceDirectory, imageName } from '../evidence/evidence-directory.ts';
import { openFile } from '../store/file-source.ts';
import { openFrames } from '../store/frames/open-frames.ts';
import type { RangeSource } from '../store/range-source.ts';
import { evidenceDeleted, type StorageRecord } from '../store/storage-record.ts';
import type { EvidenceStore, StoredObject } from '../store/store.ts';
import { Leases } from './leases.ts';

/** Where sealed images are is on record there. */
interface Records {
  get(captureId: string): StorageRecord | undefined;
}

/** The plain bytes of sealed images, wherever they are. Nothing is removed from under who reads: see `tryRemove`. */
export class Images {
  readonly #directory: EvidenceDirectory;
  readonly #records: Records;
  readonly #store: EvidenceStore;
  readonly #leases = new Leases();

  constructor(directory: EvidenceDirectory, records: Records, store: EvidenceStore) {
    this.#directory = directory;
    this.#records = records;
    this.#store = store;
  }

  /**
   * Opens the image of a sealed capture, from the spool if it is there, else from the store. It is in use until it is disposed. `keptFrames`
   * is as for `openFrames`. Throws evidence_deleted, evidence_missing saying where it should be, evidence_damaged, and what the store throws.
   */
  async open(captureId: string, keptFrames?: number): Promise<RangeSource> {
    const lease = await this.#leases.take(captureId);
    try {
      const source = await this.#open(captureId, keptFrames);
      return {
        sizeBytes: source.sizeBytes,
        read: (offset, length, signal) => source.read(offset, length, signal),
        [Symbol.asyncDispose]: async () => {
          await source[Symbol.asyncDispose]();
          lease[Symbol.dispose]();
        },
      };
    } catch (error) {
      lease[Symbol.dispose]();
      throw error;
    }
  }

  /** Throws evidence_deleted, and evidence_missing where there never was an image. Whether the image is where it should be `open` finds out. */
  checkKept(captureId: string): void {
    this.#record(captureId);
  }

  /** The plain image as a local file; undefined when there is none. It stays only while a lease is held. */
  async plainPath(captureId: string): Promise<string | undefined> {
    const path = this.#spoolPath(this.#record(captureId));
    const there = await stat(path).then(
      (status) => status.isFile(),
      () => false,
    );
    return there ? path : undefined;
  }

  /** Keeps the files of a capture's image from being removed until it is disposed. */
  async lease(captureId: string): Promise<Disposable> {
    return await this.#leases.take(captureId);
  }

  /** Whether somebody reads the image. */
  inUse(captureId: string): boolean {
    return this.#leases.held(captureId);
  }

  /**
   * Runs `remove`, unless the image is in use: then nothing is done and false comes back. Who wants to read meanwhile waits for its end. Rejects
   * as `remove` does.
   */
  async tryRemove(captureId: string, remove: () => Promise<void>): Promise<boolean> {
    return await this.#leases.alone(captureId, remove);
  }

  async #open(captureId: string, keptFrames?: number): Promise<RangeSource> {
    const record = this.#record(captureId);
    const { place } = record;
    const spooled = await this.plainPath(captureId);
    if (spooled !== undefined) return await openFile(spooled, `the image of capture ${captureId}`, record.imageBytes);
    if (place.kind === 'store') return await this.#openStored(record, place.object, keptFrames);
    const path = this.#spoolPath(record);
    throw new Fault('evidence_missing', `the image of capture ${captureId} is gone (${path}): restore it from a copy`);
  }

  async #openStored(record: StorageRecord, object: StoredObject, keptFrames?: number): Promise<RangeSource> {
    const stored = await this.#store.open(object);
    if (!object.file.endsWith('.zst')) return stored;
    const source = await openFrames(stored, object.location, keptFrames);
    if (source.sizeBytes === record.imageBytes) return source;
    await source[Symbol.asyncDispose]();
    const message = `the packed image ${object.location} of capture ${record.captureId} holds ${source.sizeBytes} bytes, ${record.imageBytes} were sealed: restore it from a copy`;
    throw new Fault('evidence_damaged', message);
  }

  #record(captureId: string): StorageRecord {
    const record = this.#records.get(captureId);
    if (record === undefined) throw new Fault('evidence_missing', `capture ${captureId} has no image`);
    if (record.place.kind === 'deleted') throw evidenceDeleted(captureId, record.place);
    return record;
  }

  #spoolPath({ captureId, complete }: StorageRecord): string {
    return join(this.#directory.pathOf(captureId), imageName({ kind: complete ? 'complete' : 'partial' }));
  }
}
