import { chmod, mkdir, open, readdir, rename, rm, rmdir, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readBounded, TooLarge } from '@kcorder/proto/bounds/files.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Evidence, Outcome } from '../capture/capture.ts';
import { ImageWriter } from './image-writer.ts';

const unsealed = 'image.part';

/** Ending of a file in which an image is being packed. */
const draftEnding = '.draft';

/** File name of a sealed image: an image that is not complete says so wherever it is copied to. */
export const imageName = (outcome: Pick<Outcome, 'kind'>): string =>
  outcome.kind === 'complete' ? 'image.lime' : 'image.PARTIAL.lime';

/**
 * Evidence on the local disk, one directory per capture. While an image is being acquired it lies under another name; a sealed image
 * and its manifest are read-only and never written again. Directory names are ids that the collector made itself.
 */
export class EvidenceDirectory {
  readonly #root: string;
  readonly #aside = new Set<() => number>();

  constructor(dataDir: string) {
    this.#root = join(dataDir, 'evidence');
  }

  /** Absolute path of the directory of all captures. */
  get root(): string {
    return this.#root;
  }

  /** Where everything about one capture lies. */
  pathOf(captureId: string): string {
    return join(this.#root, captureId);
  }

  /** Where the sealed image of a capture lies. */
  imagePath(captureId: string, evidence: Evidence): string {
    return join(this.pathOf(captureId), evidence.file);
  }

  /** Bytes that a new image may still take, a reserve left for the file system itself. */
  async freeBytes(reserveBytes: number): Promise<number> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(this.#root);
    const aside = [...this.#aside].reduce((sum, bytes) => sum + bytes(), 0);
    return Math.max(0, bavail * bsize - reserveBytes - aside);
  }

  /** Leaves room out of what is free, for what is being written beside captures, until it is disposed of. */
  setAside(bytes: () => number): Disposable {
    this.#aside.add(bytes);
    return { [Symbol.dispose]: () => void this.#aside.delete(bytes) };
  }

  /** Opens the image of a running capture at its durable offset. */
  async openWriter(captureId: string, durableBytes: number): Promise<ImageWriter> {
    await mkdir(this.pathOf(captureId), { recursive: true, mode: 0o700 });
    await syncDirectory(this.#root);
    const writer = await ImageWriter.open(join(this.pathOf(captureId), unsealed), durableBytes);
    await syncDirectory(this.pathOf(captureId));
    return writer;
  }

  /** Gives the image its final name and lays the manifest beside it; the manifest comes last, so what has one is sealed. */
  async seal(captureId: string, outcome: Outcome, manifest: string): Promise<void> {
    const directory = this.pathOf(captureId);
    const image = join(directory, imageName(outcome));
    const part = join(directory, unsealed);
    await chmod(part, 0o400);
    await rename(part, image);
    await syncDirectory(directory);
    const draft = join(directory, 'manifest.json.part');
    // A draft of a sealing that a crash cut short is read-only.
    await rm(draft, { force: true });
    await writeFile(draft, manifest, { mode: 0o400, flush: true });
    await rename(draft, join(directory, 'manifest.json'));
    await syncDirectory(directory);
  }

  /** Undoes a sealing that a crash cut short before its manifest had its name, so that it can be done again. */
  async unsealUnfinished(captureId: string): Promise<void> {
    const directory = this.pathOf(captureId);
    for (const name of ['image.lime', 'image.PARTIAL.lime', unsealed]) {
      if (!(await exists(join(directory, name)))) continue;
      await chmod(join(directory, name), 0o600);
      if (name !== unsealed) await rename(join(directory, name), join(directory, unsealed));
    }
  }

  /** Removes the image of a capture that ended without a durable byte. */
  async discard(captureId: string): Promise<void> {
    const directory = this.pathOf(captureId);
    if (!(await exists(directory))) return;
    await rm(join(directory, unsealed), { force: true });
    await rmdir(directory);
  }

  /** Where an image is packed before the store has it; nobody else reads it. */
  draftPath(captureId: string, file: string): string {
    return join(this.pathOf(captureId), `${file}${draftEnding}`);
  }

  /** Removes what packing left, a killed collector's too. */
  async removeDrafts(captureId: string): Promise<void> {
    const directory = this.pathOf(captureId);
    for (const name of await namesIn(directory))
      if (name.endsWith(draftEnding)) await rm(join(directory, name), { force: true });
  }

  /** Removes the plain image, which the store has by now. Throws storage_failed. */
  async removeImage(captureId: string, evidence: Evidence): Promise<void> {
    const path = this.imagePath(captureId, evidence);
    try {
      await rm(path, { force: true });
      await syncDirectory(this.pathOf(captureId));
    } catch (error) {
      throw new Fault('storage_failed', `${path} could not be removed: see to the collector's disk`, { cause: error });
    }
  }

  manifestPath(captureId: string): string {
    return join(this.pathOf(captureId), 'manifest.json');
  }

  /** Removes everything of a capture; no error when there is nothing. Throws storage_failed. */
  async remove(captureId: string): Promise<void> {
    const path = this.pathOf(captureId);
    try {
      await rm(path, { recursive: true, force: true });
      await syncDirectory(this.#root);
    } catch (error) {
      throw new Fault('storage_failed', `${path} could not be removed: see to the collector's disk`, { cause: error });
    }
  }

  /** The manifest's bytes. Throws evidence_missing, evidence_damaged when it has grown beyond any manifest, storage_failed. */
  async manifest(captureId: string): Promise<Buffer> {
    const path = this.manifestPath(captureId);
    return await readBounded(path, 'manifest').catch((error: unknown) => {
      if (error instanceof TooLarge)
        throw new Fault('evidence_damaged', `the manifest of capture ${captureId} was altered: ${error.message}`);
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
        throw new Fault('storage_failed', `${path} could not be read: see to the collector's disk`, { cause: error });
      throw new Fault(
        'evidence_missing',
        `the manifest of capture ${captureId} is gone (${path}): restore it from a copy`,
        { cause: error },
      );
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw new Fault('storage_failed', `${directory} could not be read: see to the collector's disk`, { cause: error });
  });
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
