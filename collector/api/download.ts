import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import type { DownloadEvidenceResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { Images } from '../evidence/images.ts';
import type { RangeSource } from '../evidence/range-source.ts';
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

/** Where evidence is found. */
export interface DownloadRooms {
  readonly journal: CaptureJournal;
  readonly evidence: EvidenceDirectory;
  readonly images: Images;
}

const chunkBytes = 256 << 10;
/** Read at once, and once more while that is being sent: a store far away takes its time for each read. */
const readBytes = 4 << 20;

/**
 * Streams the plain image of sealed evidence, its header first. Who reads is on record before the first byte. Throws capture_unknown,
 * capture_running, evidence_missing, evidence_deleted, evidence_damaged, invalid_argument for an offset past the end.
 */
export async function* downloadEvidence(
  { journal, evidence: directory, images }: DownloadRooms,
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
  if (offset > bytes)
    throw new Fault('invalid_argument', `capture ${captureId} has ${bytes} bytes, byte ${offset} is past its end`);
  // Before the manifest, which deleted evidence does not have any more.
  images.checkKept(captureId);
  const manifest = await directory.manifest(captureId);
  await using image = await images.open(captureId);
  journal.recordReading(captureId, actor, 'downloaded', { offset });
  yield {
    header: { size: BigInt(bytes), sha256, manifest, outcome: presentOutcome(state.outcome) },
    offset: BigInt(offset),
  };
  let position = offset;
  for await (const data of readAhead(image, offset, bytes, signal)) {
    for (let from = 0; from < data.length; from += chunkBytes) {
      signal.throwIfAborted();
      yield { offset: BigInt(position + from), data: data.subarray(from, from + chunkBytes) };
    }
    position += data.length;
  }
}

/** The bytes from offset to end in large parts, the next of which is being read already. */
async function* readAhead(
  image: RangeSource,
  offset: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const read = (from: number): Promise<Buffer> | undefined => {
    const data = from < end ? image.read(from, Math.min(readBytes, end - from), signal) : undefined;
    // It is waited for in its turn; until then a failure is nobody's.
    data?.catch(() => {});
    return data;
  };
  for (let [from, next] = [offset, read(offset)]; next !== undefined; ) {
    // Where a large part cannot be read, all that stands before the damage can be.
    const data = await next.catch(() => image.read(from, Math.min(chunkBytes, end - from), signal));
    from += data.length;
    next = read(from);
    yield data;
  }
}
