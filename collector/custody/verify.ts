import { createHash } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Evidence } from '../capture/capture.ts';
import type { ManifestDigests } from '../evidence/check-manifest.ts';
import type { RangeSource } from '../store/range-source.ts';

/** What reading a whole image has shown. */
export type Verdict =
  | { readonly kind: 'intact'; readonly sha256: string }
  | {
      readonly kind: 'damaged';
      readonly detail: string;
      /** The first bad part of the plain image, the end one past it; both 0 when it is not the image that is wrong. */
      readonly badFrom: number;
      readonly badTo: number;
      /** Of what is stored, unpacked; empty when it could not be read to its end. */
      readonly sha256: string;
    };

/** Called after each part that was read; the next one waits for it. */
export type Pace = (doneBytes: number) => Promise<void> | void;

/** As large as a frame of a packed image, and aligned with them: so a frame that is damaged is named alone. */
const readBytes = 1 << 20;

/**
 * Reads a whole plain image and compares it with its evidence and its manifest's digests. What is wrong with the bytes is a verdict; throws what
 * a source throws when they cannot be read at the moment, and the signal's reason.
 */
export async function verifyImage(
  source: RangeSource,
  evidence: Evidence,
  digests: ManifestDigests,
  pace: Pace,
  signal: AbortSignal,
): Promise<Verdict> {
  const hash = createHash('sha256');
  const { segmentBytes, prefixes } = digests;
  let bad: number | undefined;
  for (let offset = 0; offset < source.sizeBytes; ) {
    signal.throwIfAborted();
    const ends = [source.sizeBytes, nextMultiple(offset, readBytes), nextMultiple(offset, segmentBytes)];
    const length = Math.min(...ends) - offset;
    try {
      hash.update(await source.read(offset, length, signal));
    } catch (error) {
      if (!(error instanceof Fault) || (error.code !== 'evidence_damaged' && error.code !== 'evidence_missing'))
        throw error;
      const from = bad === undefined ? offset : bad * segmentBytes;
      const to = bad === undefined ? offset + length : endOf(bad, segmentBytes, evidence.bytes);
      return { kind: 'damaged', detail: error.message, badFrom: from, badTo: to, sha256: '' };
    }
    offset += length;
    const ended = offset % segmentBytes === 0 || offset === evidence.bytes;
    const segment = Math.ceil(offset / segmentBytes) - 1;
    if (ended && bad === undefined && offset <= evidence.bytes && hash.copy().digest('hex') !== prefixes[segment])
      bad = segment;
    await pace(offset);
  }
  const sha256 = hash.digest('hex');
  if (bad === undefined && source.sizeBytes === evidence.bytes && sha256 === evidence.sha256)
    return { kind: 'intact', sha256 };
  return { kind: 'damaged', ...whatIsWrong(source.sizeBytes, evidence, segmentBytes, bad, sha256), sha256 };
}

function whatIsWrong(
  sizeBytes: number,
  evidence: Evidence,
  segmentBytes: number,
  bad: number | undefined,
  sha256: string,
): { detail: string; badFrom: number; badTo: number } {
  const { bytes } = evidence;
  if (sha256 === evidence.sha256 && sizeBytes === bytes)
    return {
      detail: `the manifest was altered: its digest of segment ${bad} is not the image's`,
      badFrom: 0,
      badTo: 0,
    };
  const size = sizeBytes === bytes ? '' : `; it has ${sizeBytes} bytes, ${bytes} were sealed`;
  if (bad !== undefined) {
    const [badFrom, badTo] = [bad * segmentBytes, endOf(bad, segmentBytes, bytes)];
    return { detail: `the image differs from its manifest from byte ${badFrom} to ${badTo} on${size}`, badFrom, badTo };
  }
  if (sizeBytes > bytes) return { detail: `the image has bytes past its end${size}`, badFrom: bytes, badTo: sizeBytes };
  const cut = Math.floor(sizeBytes / segmentBytes);
  return {
    detail: `the image is cut off${size}`,
    badFrom: cut * segmentBytes,
    badTo: endOf(cut, segmentBytes, bytes),
  };
}

const nextMultiple = (offset: number, of: number): number => (Math.floor(offset / of) + 1) * of;
const endOf = (segment: number, segmentBytes: number, bytes: number): number =>
  Math.min((segment + 1) * segmentBytes, bytes);
