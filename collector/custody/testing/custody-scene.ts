import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { sha256Of } from '../../evidence/check-manifest.ts';
import { EvidenceDirectory } from '../../evidence/evidence-directory.ts';
import { seal } from '../../evidence/seal.ts';
import { AuditLog } from '../../journal/audit-log.ts';
import { CaptureJournal } from '../../journal/capture-journal.ts';
import { CustodyQueue } from '../../journal/custody-queue.ts';
import { openDatabase } from '../../journal/database.ts';
import { StorageJournal } from '../../journal/storage-journal.ts';
import type { EvidenceStore } from '../../store/store.ts';
import { makeScratch } from '../../testing/files.ts';
import { limeImage } from '../../testing/lime-image.ts';
import { end, events, request } from '../../testing/states.ts';
import { Archiver, type ArchiverDeps } from '../archiver.ts';
import { Images } from '../images.ts';
import { RetrySchedule } from '../retry-schedule.ts';

/** Retries come at once, almost. */
const hasty = (): RetrySchedule =>
  new RetrySchedule({ capture: { first: 5, most: 50 }, all: { first: 1, most: 2 }, readMs: 1, damagedMs: 5 });

/** Sealed captures with their journal, as a collector has them when it starts. */
export class CustodyScene implements Disposable {
  readonly #scratch = makeScratch();
  readonly directory = new EvidenceDirectory(this.#scratch.dir);
  readonly database: DatabaseSync = openDatabase(this.#scratch.dir);
  readonly journal = new CaptureJournal(this.database);
  readonly storage = new StorageJournal(this.database);
  readonly queue = new CustodyQueue(this.database);
  readonly images = new Map<string, Buffer>();
  readonly told: string[] = [];

  get dir(): string {
    return this.#scratch.dir;
  }

  /** Seals an image of some records; it waits for its analysis unless it is done. */
  async seal(id: string, recordBytes: readonly number[] = [5000, 70_000], done = true, node = 'n1'): Promise<void> {
    const { journal, directory } = this;
    const image = limeImage(this.images.size + 1, recordBytes);
    // So that packing has something to do: a part of the last record's content.
    const last = recordBytes.at(-1) ?? 0;
    const from = image.length - last;
    for (let at = from; at < from + last / 2; at += 8) image.write(`${at % 99_991}`.padEnd(8), at, 'latin1');
    journal.create({ ...request, id, node: { name: node, uid: `uid-${node}` }, ceilingBytes: image.length }, id, 1e12);
    journal.apply(id, events.opened, 'node/n1');
    const writer = await directory.openWriter(id, 0);
    await writer.append(image);
    await writer.sync();
    journal.advance(id, image.length);
    const counted = { ...end, bytes: image.length, sha256: sha256Of(image) };
    journal.apply(id, { ...events.finished, end: counted, durableBytes: image.length }, 'node/n1');
    const { request: asked, state } = journal.get(id);
    if (state.phase !== 'sealing') throw new Error(state.phase);
    const sealedAt = new Date().toISOString();
    const facts = { collectorVersion: '0', request: asked, state, containers: [], custody: [], sealedAt };
    const sealed = await seal(directory, writer, facts);
    journal.apply(id, { kind: 'sealed', at: facts.sealedAt, ...sealed }, 'collector');
    if (done) journal.apply(id, { ...events.analysis_ended, at: facts.sealedAt }, 'collector');
    this.images.set(id, image);
  }

  archiver(store: EvidenceStore, changes: Partial<ArchiverDeps> = {}): Archiver {
    const deps: ArchiverDeps = {
      directory: this.directory,
      store,
      record: this.storage,
      queue: this.queue,
      images: new Images(this.directory, this.storage, store),
      spoolMs: 0,
      reserveBytes: 0,
      reservedBytes: () => 0,
      events: {
        stored: ({ record }) => this.told.push(`stored ${record.captureId}`),
        failed: (id, error) => this.told.push(`failed ${id}: ${String(error)}`),
        damaged: (id, damage) => this.told.push(`damaged ${id}: ${damage}`),
      },
      ...changes,
    };
    return new Archiver(deps, hasty());
  }

  files(id: string): string[] {
    const path = this.directory.pathOf(id);
    return existsSync(path) ? readdirSync(path).sort() : [];
  }

  /** The plain image in the spool, if it is there. */
  plain(id: string): Buffer | undefined {
    const path = join(this.directory.pathOf(id), 'image.lime');
    return existsSync(path) ? readFileSync(path) : undefined;
  }

  actions(id: string): string[] {
    return new AuditLog(this.database).of(id).map(({ action }) => action);
  }

  [Symbol.dispose](): void {
    this.database.close();
    this.#scratch[Symbol.dispose]();
  }
}
