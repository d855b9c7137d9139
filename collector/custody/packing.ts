import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import type { ManifestDigests } from '../evidence/check-manifest.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import { Crc32c } from '../store/crc32c.ts';
import { openFile } from '../store/file-source.ts';
import { openFrames } from '../store/frames/open-frames.ts';
import { NoRoom, packImage } from '../store/frames/pack.ts';
import type { RangeSource } from '../store/range-source.ts';
import type { SealedImage } from '../store/storage-record.ts';
import type { StoredObject } from '../store/store.ts';
import { verifyImage } from './verify.ts';

/** A file that can be put into the store as an image, and is known to be what was sealed. */
export interface ReadyImage {
  /** Its name there. */
  readonly file: string;
  readonly path: string;
  readonly bytes: number;
  readonly crc32c: string;
}

/** What a packed image is called. */
export const packedName = (file: string): string => `${file}.zst`;

const readBytes = 1 << 20;

/**
 * Packs a sealed image beside itself and reads it back, or, if there is no room, takes the plain image as it is. Throws evidence_damaged,
 * evidence_missing, storage_failed, and the signal's reason.
 */
export async function makeReady(
  image: SealedImage,
  digests: ManifestDigests,
  directory: EvidenceDirectory,
  roomBytes: number,
  signal: AbortSignal,
): Promise<ReadyImage> {
  const { record, evidence } = image;
  const from = directory.imagePath(record.captureId, evidence);
  const file = packedName(evidence.file);
  const path = directory.draftPath(record.captureId, file);
  let packed = 0;
  // What is written is gone from the disk's own count by and by.
  using _aside = directory.setAside(() => Math.max(0, Math.min(roomBytes, evidence.bytes) - packed));
  try {
    const { plainSha256, bytes, crc32c } = await packImage(from, path, signal, {
      maxBytes: roomBytes,
      onBytes: (plainBytes) => {
        packed = plainBytes;
      },
    });
    if (plainSha256 !== evidence.sha256) throw damaged(image, from, plainSha256);
    await using frames = await openFrames(await openFile(path, path), path);
    const verdict = await verifyImage(frames, evidence, digests, () => undefined, signal);
    if (verdict.kind === 'damaged')
      throw new Fault(
        'storage_failed',
        `${path} does not unpack to what was packed (${verdict.detail}): see to the collector's disk`,
      );
    return { file, path, bytes, crc32c };
  } catch (error) {
    await rm(path, { force: true });
    if (!(error instanceof NoRoom)) throw error;
    return await takePlain(image, from, signal);
  }
}

async function takePlain(image: SealedImage, path: string, signal: AbortSignal): Promise<ReadyImage> {
  const { evidence } = image;
  await using source = await openFile(path, `the image of capture ${image.record.captureId}`);
  const [hash, sum] = [createHash('sha256'), new Crc32c()];
  for (let offset = 0; offset < source.sizeBytes; offset += readBytes) {
    const data = await source.read(offset, Math.min(readBytes, source.sizeBytes - offset), signal);
    hash.update(data);
    sum.update(data);
  }
  const sha256 = hash.digest('hex');
  if (sha256 !== evidence.sha256) throw damaged(image, path, sha256);
  return { file: evidence.file, path, bytes: evidence.bytes, crc32c: sum.digest() };
}

/** The plain image of a stored object. */
export async function openPlain(packed: RangeSource, object: StoredObject): Promise<RangeSource> {
  return object.file.endsWith('.zst') ? await openFrames(packed, object.location) : packed;
}

function damaged({ record, evidence }: SealedImage, path: string, sha256: string): Fault {
  return new Fault(
    'evidence_damaged',
    `the image of capture ${record.captureId} (${path}) is not what was sealed: its SHA-256 is ${sha256}, it was ${evidence.sha256}. Restore it from a copy; it stays where it is`,
  );
}
