import { setTimeout as sleep } from 'node:timers/promises';
import { fileBounds } from '@kcorder/proto/bounds/files.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { Worker } from '../background/worker.ts';
import { checkManifest } from '../evidence/check-manifest.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { RangeSource } from '../store/range-source.ts';
import { evidenceDeleted, type SealedImage } from '../store/storage-record.ts';
import type { EvidenceStore } from '../store/store.ts';
import { manifestFile } from './archiver.ts';
import { openPlain } from './packing.ts';
import { type Pace, type Verdict, verifyImage } from './verify.ts';

export interface VerifierDeps {
  readonly record: {
    sealed(captureId: string): SealedImage;
    noteVerified(captureId: string, actor: string): void;
    noteDamage(captureId: string, damage: string, actor: string): void;
  };
  readonly queue: { toVerify(checkedBy: string, except: ReadonlySet<string>): SealedImage | undefined };
  readonly images: { open(captureId: string): Promise<RangeSource> };
  readonly directory: EvidenceDirectory;
  readonly store: EvidenceStore;
  /** After which a stored image is read anew; 0: never. */
  readonly verifyMs: number;
  readonly events: {
    verified(captureId: string, bytes: number, seconds: number): void;
    damaged(captureId: string, damage: string): void;
    /** It could not be read at the moment. */
    verificationFailed(captureId: string, error: unknown): void;
  };
}

/** Of one core, what reading in the background takes at most. */
const share = 0.2;
const lookMs = 60_000;
const againMs = 3_600_000;

/** Compares stored images with what was sealed: on request, and by itself whichever was not looked at for the longest time, one at a time. */
export class Verifier {
  readonly #deps: VerifierDeps;
  readonly #worker: Worker;
  readonly #notBefore = new Map<string, number>();

  constructor(deps: VerifierDeps) {
    this.#deps = deps;
    this.#worker = new Worker({
      step: (signal) => this.#step(signal),
      failed: (error) => deps.events.verificationFailed('', error),
      retryMs: () => lookMs,
    });
  }

  start(): void {
    if (this.#deps.verifyMs > 0) this.#worker.wake();
  }

  async close(): Promise<void> {
    await this.#worker.close();
  }

  /**
   * Reads and compares the whole, puts the verdict on record and returns it. Throws capture_unknown, capture_running, evidence_missing when there
   * never was an image, evidence_deleted, storage_failed, store_refused, and the signal's reason.
   */
  async verify(captureId: string, actor: string, pace: Pace, signal: AbortSignal): Promise<Verdict> {
    const { record, events } = this.#deps;
    const started = performance.now();
    const image = record.sealed(captureId);
    const { place } = image.record;
    if (place.kind === 'deleted') throw evidenceDeleted(captureId, place);
    const verdict = await this.#compare(image, pace, AbortSignal.any([signal, this.#worker.signal]));
    const now = record.sealed(captureId).record.place;
    // What disappears while it is deleted is no damage.
    if (now.kind === 'deleted') throw evidenceDeleted(captureId, now);
    if (verdict.kind === 'intact') {
      record.noteVerified(captureId, actor);
      events.verified(captureId, image.evidence.bytes, (performance.now() - started) / 1000);
    } else {
      record.noteDamage(captureId, verdict.detail, actor);
      events.damaged(captureId, verdict.detail);
    }
    return verdict;
  }

  async #compare(image: SealedImage, pace: Pace, signal: AbortSignal): Promise<Verdict> {
    const { record, evidence } = image;
    const wrong = (detail: string): Verdict => ({ kind: 'damaged', detail, badFrom: 0, badTo: 0, sha256: '' });
    try {
      const manifests = await this.#manifests(image);
      const checked = manifests.map((manifest) => checkManifest(manifest, evidence, record.manifestSha256));
      const altered = checked.find((digests) => typeof digests === 'string');
      if (altered !== undefined) return wrong(altered);
      const digests = checked.find((each) => typeof each !== 'string');
      if (digests === undefined) return wrong(`the manifest of capture ${record.captureId} is gone`);
      await using source = await this.#open(image);
      return await verifyImage(source, evidence, digests, pace, signal);
    } catch (error) {
      if (error instanceof Fault && (error.code === 'evidence_damaged' || error.code === 'evidence_missing'))
        return wrong(error.message);
      throw error;
    }
  }

  /** The manifest as it is here, which downloads take, and as the store has it. */
  async #manifests({ record: { captureId, place } }: SealedImage): Promise<Buffer[]> {
    const { store, directory } = this.#deps;
    if (place.kind !== 'store' || store.kind === 'local') return [await directory.manifest(captureId)];
    const object = await store.find({ captureId, file: manifestFile });
    if (object === undefined)
      throw new Fault(
        'evidence_missing',
        `the manifest of capture ${captureId} is gone from ${store.place}: restore it from a copy`,
      );
    await using source = await store.open(object);
    if (source.sizeBytes > fileBounds.manifest) {
      const what = `has ${source.sizeBytes} bytes: at most ${fileBounds.manifest} are taken`;
      throw new Fault(
        'evidence_damaged',
        `the manifest of capture ${captureId} was altered: in ${store.place} it ${what}`,
      );
    }
    const stored = await source.read(0, source.sizeBytes);
    return [stored, await directory.manifest(captureId)];
  }

  /** What is stored, also when the plain image is still beside it. */
  async #open({ record: { captureId, place } }: SealedImage): Promise<RangeSource> {
    if (place.kind !== 'store') return await this.#deps.images.open(captureId);
    return await openPlain(await this.#deps.store.open(place.object), place.object);
  }

  /** Verifies one image; returns the milliseconds until there may be another. */
  async #step(signal: AbortSignal): Promise<number> {
    const { queue, verifyMs, events } = this.#deps;
    for (const [captureId, fromMs] of this.#notBefore)
      if (fromMs <= performance.now()) this.#notBefore.delete(captureId);
    const image = queue.toVerify(new Date(Date.now() - verifyMs).toISOString(), new Set(this.#notBefore.keys()));
    if (image === undefined) return lookMs;
    const { captureId } = image.record;
    try {
      await this.verify(captureId, 'collector', paced(signal), signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#notBefore.set(captureId, performance.now() + againMs);
      const isGone = error instanceof Fault && error.code === 'evidence_deleted';
      if (!isGone) events.verificationFailed(captureId, error);
    }
    return 0;
  }
}

/** After each part it rests so long that reading takes its share only. */
function paced(signal: AbortSignal): Pace {
  let began = performance.now();
  return async () => {
    const busyMs = performance.now() - began;
    await sleep((busyMs * (1 - share)) / share, undefined, { signal, ref: false });
    began = performance.now();
  };
}
