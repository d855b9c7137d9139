import { open } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import type { DownloadEvidenceResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CaptureJournal } from '../journal/captures.ts';
import { presentOutcome } from './present.ts';

type Response = MessageInitShape<typeof DownloadEvidenceResponseSchema>;

/** One download: which evidence, from which byte on, by whom. */
export interface Download {
  readonly captureId: string;
  readonly offset: number;
  readonly actor: string;
  readonly signal: AbortSignal;
}

const chunkBytes = 256 << 10;

/**
 * Streams sealed evidence, its header first. Who reads is on record before the first byte. Throws capture_unknown, capture_running,
 * evidence_missing, invalid_argument for an offset past the end.
 */
export async function* downloadEvidence(
  journal: CaptureJournal,
  directory: EvidenceDirectory,
  download: Download,
): AsyncIterable<Response> {
  const { captureId, offset, actor, signal } = download;
  const { state } = journal.get(captureId);
  if (!('outcome' in state) || state.phase === 'sealing') {
    throw new Fault(
      'capture_running',
      `capture ${captureId} is ${state.phase}: its image can be downloaded when it is sealed`,
    );
  }
  if (state.evidence === undefined) throw new Fault('evidence_missing', `capture ${captureId} ended without an image`);
  const { bytes, sha256 } = state.evidence;
  const path = directory.imagePath(captureId, state.evidence);
  if (offset > bytes)
    throw new Fault('invalid_argument', `capture ${captureId} has ${bytes} bytes, byte ${offset} is past its end`);
  const manifest = await directory.manifest(captureId);
  await using image = await open(path, 'r').catch((error: unknown) => {
    throw new Fault('evidence_missing', `the image of capture ${captureId} is gone (${path}): restore it from a copy`, {
      cause: error,
    });
  });
  journal.recordReading(captureId, actor, 'downloaded', { offset });
  yield {
    header: { size: BigInt(bytes), sha256, manifest, outcome: presentOutcome(state.outcome) },
    offset: BigInt(offset),
  };
  for (let position = offset; position < bytes; ) {
    signal.throwIfAborted();
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, bytes - position));
    const { bytesRead } = await image.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0)
      throw new Fault('evidence_missing', `the image of capture ${captureId} ends at byte ${position} of ${bytes}`);
    yield { offset: BigInt(position), data: buffer.subarray(0, bytesRead) };
    position += bytesRead;
  }
}
