import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import { Worker } from '../background/worker.ts';
import { checkManifest, sha256Of } from '../evidence/check-manifest.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { Crc32c } from '../store/crc32c.ts';
import type { SealedImage } from '../store/storage-record.ts';
import type { EvidenceStore, StoredObject } from '../store/store.ts';
import { makeReady, openPlain, type ReadyImage } from './packing.ts';
import { RetrySchedule } from './retry-schedule.ts';
import { verifyImage } from './verify.ts';

/** What the keeper needs of the record: see the journal. */
export interface KeeperRecord {
  noteLastError(captureId: string, lastError: string): void;
  noteStored(captureId: string, object: StoredObject, manifestSha256: string): boolean;
  noteTidied(captureId: string): void;
  noteDamage(captureId: string, damage: string, actor: string): void;
}

/** What there is to do, as the disk has it. */
export interface KeeperQueue {
  toKeep(sealedBy: string, waitingToo: boolean, limit: number): SealedImage[];
  toTidy(): SealedImage[];
  inSpool(): string[];
}

/** What is told to whoever listens: metrics and the log. */
export interface KeeperEvents {
  stored(image: SealedImage, object: StoredObject, seconds: number): void;
  /** Not yet in the store, or the plain image is not removed yet; it is tried again. The capture is empty when it is about none. */
  failed(captureId: string, error: unknown, isNew: boolean): void;
  /** The image or its manifest is not what was sealed. */
  damaged(captureId: string, damage: string): void;
}

export interface ArchiverDeps {
  readonly directory: EvidenceDirectory;
  readonly store: EvidenceStore;
  readonly record: KeeperRecord;
  readonly queue: KeeperQueue;
  readonly images: { tryRemove(captureId: string, remove: () => Promise<void>): Promise<boolean> };
  readonly events: KeeperEvents;
  /** How long an image stays in the spool after it was sealed. */
  readonly spoolMs: number;
  readonly reserveBytes: number;
  /** What running captures may still need of the disk. */
  reservedBytes(): number;
}

export const manifestFile = 'manifest.json';
const closingMs = 1_000;
const lookMs = { least: 20, most: 30_000 };

/**
 * Brings sealed images from the spool into the evidence store, one at a time: manifest first, then the packed image, then the record, and only then
 * the plain image is removed. Each step can be repeated, so that a restart goes on wherever a killed collector stopped.
 */
export class Archiver {
  readonly #deps: ArchiverDeps;
  readonly #retries: RetrySchedule;
  readonly #worker: Worker;
  #isSwept = false;
  #job: { readonly captureId: string; readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
  /** A packed image that the store did not take: packing costs more than trying again. */
  #draft: { readonly captureId: string; readonly ready: ReadyImage } | undefined;

  constructor(deps: ArchiverDeps, timeouts = new RetrySchedule()) {
    this.#deps = deps;
    this.#retries = timeouts;
    this.#worker = new Worker({
      step: () => this.#step(),
      // The journal or the directory as a whole: nothing can be noted.
      failed: (error) => {
        this.#retries.failed('');
        deps.events.failed('', error, false);
      },
      retryMs: () => this.#restMs(),
    });
  }

  start(): void {
    this.#worker.wake();
  }

  /** Looks for something to keep; call it whenever there may be something. */
  wake(): void {
    this.#worker.wake();
  }

  /** Ends within a second or so; what was begun is done again after a restart. */
  async close(): Promise<void> {
    // A store may not answer for a while; nothing is noted any more when it does.
    await Promise.race([this.#worker.close(), sleep(closingMs, undefined, { ref: false })]);
  }

  /** Stops work on a capture, and resolves when nothing is done with it any more. */
  async letGo(captureId: string): Promise<void> {
    if (this.#draft?.captureId === captureId) this.#draft = undefined;
    if (this.#job?.captureId !== captureId) return;
    this.#job.stop.abort(new Fault('canceled', `the evidence of capture ${captureId} is being deleted`));
    await this.#job.ended;
  }

  async #step(): Promise<number> {
    if (!this.#isSwept)
      for (const captureId of this.#deps.queue.inSpool()) await this.#deps.directory.removeDrafts(captureId);
    this.#isSwept = true;
    await this.#tidyAll();
    const image = this.#next();
    if (image === undefined) return this.#restMs();
    await this.#work(image, (stop) => this.#keep(image, stop));
    return 0;
  }

  #restMs(): number {
    const { spoolMs } = this.#deps;
    const soonest = Math.min(this.#retries.nextMs(), spoolMs > 0 ? spoolMs : lookMs.most);
    return Math.min(lookMs.most, Math.max(lookMs.least, soonest));
  }

  async #tidyAll(): Promise<void> {
    if (this.#retries.pauseMs() > 0) return;
    const waiting = this.#retries.waiting();
    for (const image of this.#deps.queue.toTidy()) {
      if (this.#worker.signal.aborted) return;
      if (!waiting.has(image.record.captureId)) await this.#work(image, (signal) => this.#tidy(image, signal));
    }
  }

  #next(): SealedImage | undefined {
    if (this.#retries.pauseMs() > 0) return undefined;
    const { queue, spoolMs } = this.#deps;
    const waiting = this.#retries.waiting();
    return queue
      .toKeep(new Date(Date.now() - spoolMs).toISOString(), spoolMs === 0, waiting.size + 1)
      .find(({ record: { captureId } }) => !waiting.has(captureId));
  }

  async #work(image: SealedImage, act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { captureId } = image.record;
    const stop = new AbortController();
    const ended = Promise.withResolvers<void>();
    this.#job = { captureId, stop, ended: ended.promise };
    const signal = AbortSignal.any([stop.signal, this.#worker.signal]);
    try {
      await act(signal);
      this.#retries.succeeded(captureId);
    } catch (error) {
      if (!signal.aborted) this.#failed(image, error);
    } finally {
      this.#job = undefined;
      ended.resolve();
    }
  }

  #failed({ record: { captureId, damage, place } }: SealedImage, error: unknown): void {
    const { record, events } = this.#deps;
    const fault = Fault.from(error);
    const isDamaged = fault.code === 'evidence_damaged' || fault.code === 'evidence_missing';
    this.#retries.failed(captureId, isDamaged);
    events.failed(captureId, error, place.kind === 'spool' && place.lastError === '');
    record.noteLastError(captureId, fault.message);
    if (!isDamaged || fault.message === damage) return;
    record.noteDamage(captureId, fault.message, 'collector');
    events.damaged(captureId, fault.message);
  }

  async #keep(image: SealedImage, signal: AbortSignal): Promise<void> {
    const { directory, store, record, events } = this.#deps;
    const { captureId } = image.record;
    const started = performance.now();
    if (this.#draft !== undefined && this.#draft.captureId !== captureId) {
      await directory.removeDrafts(this.#draft.captureId);
      this.#draft = undefined;
    }
    const manifest = await directory.manifest(captureId);
    const digests = checkManifest(manifest, image.evidence, '');
    if (typeof digests === 'string') throw new Fault('evidence_damaged', `capture ${captureId}: ${digests}`);
    const metadata = {
      'kcorder-capture': captureId,
      'kcorder-node': image.record.nodeName,
      'kcorder-sha256': image.evidence.sha256,
      'kcorder-outcome': image.outcome.kind,
    };
    const path = directory.manifestPath(captureId);
    const crc32c = new Crc32c().update(manifest).digest();
    // First, so that an image in the store is never without one. And a store that takes nothing is found out before anything is packed.
    await store.put({ captureId, file: manifestFile }, { path, bytes: manifest.length, crc32c, metadata }, signal);
    const ready = this.#draft?.ready ?? (await makeReady(image, digests, directory, await this.#roomBytes(), signal));
    if (ready.file !== image.evidence.file) this.#draft = { captureId, ready };
    const { file, ...local } = ready;
    const object = await store
      .put({ captureId, file }, { ...local, metadata }, signal)
      .catch(async (error: unknown) => {
        if (!(error instanceof Fault) || error.code !== 'evidence_conflict') throw error;
        // Perhaps a collector with another zstd put it there, and was killed before it could note it.
        return (await this.#asGood(image, file, signal)) ?? Promise.reject(error);
      });
    signal.throwIfAborted();
    if (!record.noteStored(captureId, object, sha256Of(manifest))) return;
    events.stored(image, object, (performance.now() - started) / 1000);
    await this.#tidy({ ...image, record: { ...image.record, place: { kind: 'store', object } } }, signal);
  }

  async #roomBytes(): Promise<number> {
    const { directory, reserveBytes, reservedBytes } = this.#deps;
    return Math.max(0, (await directory.freeBytes(reserveBytes)) - reservedBytes());
  }

  /** The object that the store has under that name, if it unpacks to what was sealed. */
  async #asGood(image: SealedImage, file: string, signal: AbortSignal): Promise<StoredObject | undefined> {
    const { store, directory } = this.#deps;
    const object = await store.find({ captureId: image.record.captureId, file });
    if (object === undefined) return undefined;
    const digests = checkManifest(await directory.manifest(image.record.captureId), image.evidence, '');
    if (typeof digests === 'string') return undefined;
    try {
      await using source = await openPlain(await store.open(object), object);
      const verdict = await verifyImage(source, image.evidence, digests, () => undefined, signal);
      return verdict.kind === 'intact' ? object : undefined;
    } catch (error) {
      if (error instanceof Fault && error.code === 'evidence_damaged') return undefined;
      throw error;
    }
  }

  /** Removes what stands beside a stored object, once the store has said again that it has it. */
  async #tidy(image: SealedImage, signal: AbortSignal): Promise<void> {
    const { directory, store, record, images } = this.#deps;
    const { captureId, place } = image.record;
    if (place.kind !== 'store') return;
    const found = await store.find(place.object);
    signal.throwIfAborted();
    if (found?.bytes !== place.object.bytes || found.crc32c !== place.object.crc32c) {
      const what = `the evidence store has lost ${place.object.location}: the plain image stays in ${directory.pathOf(captureId)}`;
      throw new Fault('evidence_missing', what);
    }
    await directory.removeDrafts(captureId);
    if (this.#draft?.captureId === captureId) this.#draft = undefined;
    const isObject = store.kind === 'local' && place.object.file === image.evidence.file;
    if (!isObject && !(await images.tryRemove(captureId, () => directory.removeImage(captureId, image.evidence)))) {
      // Somebody reads it.
      this.#retries.later(captureId);
      return;
    }
    record.noteTidied(captureId);
  }
}
