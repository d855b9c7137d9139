import { chmod, mkdir, open, readFile, rename, rm, rmdir, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Evidence, Outcome } from '../capture/capture.ts';
import { ImageWriter } from './image-writer.ts';

const unsealed = 'image.part';

/** File name of a sealed image: an image that is not complete says so wherever it is copied to. */
export const imageName = (outcome: Outcome): string =>
  outcome.kind === 'complete' ? 'image.lime' : 'image.PARTIAL.lime';

/**
 * Evidence on the local disk, one directory per capture. While an image is being acquired it lies under another name; a sealed image
 * and its manifest are read-only and never written again. Directory names are ids that the collector made itself.
 */
export class EvidenceDirectory {
  readonly #root: string;

  constructor(dataDir: string) {
    this.#root = join(dataDir, 'evidence');
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
    return Math.max(0, bavail * bsize - reserveBytes);
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

  /** The manifest's bytes. Throws evidence_missing. */
  async manifest(captureId: string): Promise<Buffer> {
    const path = join(this.pathOf(captureId), 'manifest.json');
    return await readFile(path).catch((error: unknown) => {
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

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
