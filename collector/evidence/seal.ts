import type { CaptureState, Evidence, NamedContainer, Outcome, Request } from '../capture/capture.ts';
import type { EvidenceDirectory } from './evidence-directory.ts';
import { imageName } from './evidence-directory.ts';
import type { ImageWriter } from './image-writer.ts';
import { type CustodyEvent, manifestOf } from './manifest.ts';

/** A sealed image and the judgement over it. */
export interface Sealed {
  readonly evidence: Evidence;
  readonly outcome: Outcome;
}

/** What a sealing needs to know besides the image. */
export interface SealingFacts {
  readonly collectorVersion: string;
  readonly request: Request;
  readonly state: CaptureState & { phase: 'sealing' };
  readonly containers: readonly NamedContainer[];
  readonly custody: readonly CustodyEvent[];
  /** ISO 8601, UTC. */
  readonly sealedAt: string;
}

/**
 * Seals an image: makes it durable, digests it, compares it with what the agent says, names it by its outcome and writes the
 * manifest. An image that was sealed before a crash is taken as it is. Closes the writer.
 */
export async function seal(directory: EvidenceDirectory, writer: ImageWriter, facts: SealingFacts): Promise<Sealed> {
  const { request, state } = facts;
  try {
    const bytes = await writer.sync();
    const digest = await writer.digest();
    const outcome = judgeStored(state, bytes, digest.sha256, writer.walker.damage(bytes));
    const { start, end, interruptions } = state;
    const manifest = manifestOf({
      ...facts,
      start,
      end,
      interruptions,
      outcome,
      file: imageName(outcome),
      bytes,
      digest,
    });
    await directory.seal(request.id, outcome, manifest);
    return { evidence: { bytes, sha256: digest.sha256, file: imageName(outcome) }, outcome };
  } finally {
    await writer.close();
  }
}

/** The sealing that a crash interrupted after its manifest was written; undefined when there is none. */
export async function sealedBefore(directory: EvidenceDirectory, captureId: string): Promise<Sealed | undefined> {
  const manifest = await directory.manifest(captureId).catch(() => undefined);
  if (manifest === undefined) return undefined;
  const { image, outcome } = JSON.parse(manifest.toString()) as {
    image: { file: string; bytes: number; sha256: string };
    outcome: Outcome;
  };
  const { bytes, sha256, file } = image;
  return { evidence: { bytes, sha256, file }, outcome };
}

/** The stored image can only make the outcome worse than what the agent reported. */
function judgeStored(
  state: CaptureState & { phase: 'sealing' },
  bytes: number,
  sha256: string,
  damage: string | undefined,
): Outcome {
  const { outcome, end } = state;
  if (outcome.kind !== 'complete') return outcome;
  if (end === undefined || end.sha256 !== sha256) {
    return {
      kind: 'failed',
      reason: 'integrity_conflict',
      detail: `the agent read ${end?.sha256 ?? 'nothing'}, the stored ${bytes} bytes are ${sha256}`,
    };
  }
  if (damage !== undefined) return { kind: 'partial', reason: 'image_malformed', detail: damage };
  return outcome;
}
