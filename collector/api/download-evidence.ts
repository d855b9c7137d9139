import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import type { DownloadEvidenceResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { Images } from '../custody/images.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { RangeSource } from '../store/range-source.ts';
import type { ByteBudget } from './door/byte-budget.ts';
import { presentOutcome } from './present.ts';

type Response = MessageInitShape<typeof DownloadEvidenceResponseSchema>;

/** One download: which evidence, from which byte on, by whom. */
export interface Download {
  readonly captureId: string;
  readonly offset: number;
  readonly actor: string;
  readonly payer: string;
  readonly signal: AbortSignal;
}

/** Where evidence is found. */
export interface DownloadDeps {
  readonly journal: Pick<CaptureJournal, 'get' | 'recordReading'>;
  readonly evidence: Pick<EvidenceDirectory, 'manifest'>;
  readonly images: Pick<Images, 'checkKept' | 'open'>;
  /** What downloads may hold of images to read ahead, in all and of each person. */
  readonly ahead: ByteBudget;
}

const chunkBytes = 256 << 10;
/** Read at once, and once more while that is being sent: a store far away takes its time for each read. */
const wideBytes = 4 << 20;
/** The part that is sent, the next one, the one before as long as its end is not sent, and what unpacking takes beside them. */
const aheadBytes = 4 * wideBytes;
/** Of downloads: two that read ahead of one person, six in all. */
export const aheadLimits = { most: 6 * aheadBytes, mostOfOne: 2 * aheadBytes };

/**
 * Streams the plain image of sealed evidence, its header first. Who reads is on record before the first byte. Throws capture_unknown,
 * capture_running, evidence_missing, evidence_deleted, evidence_damaged, invalid_argument for an offset past the end.
 */
export async function* downloadEvidence(
  { journal, evidence: directory, images, ahead }: DownloadDeps,
  download: Download,
): AsyncIterable<Response> {
  const { captureId, offset, actor, payer, signal } = download;
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
  using width = new Width(ahead, payer);
  await using image = await images.open(captureId, 1);
  journal.recordReading(captureId, actor, 'downloaded', { offset });
  yield {
    header: { size: BigInt(bytes), sha256, manifest, outcome: presentOutcome(state.outcome) },
    offset: BigInt(offset),
  };
  let position = offset;
  for await (const data of readAhead(image, { from: offset, end: bytes }, width, signal)) {
    for (let from = 0; from < data.length; from += chunkBytes) {
      signal.throwIfAborted();
      yield { offset: BigInt(position + from), data: data.subarray(from, from + chunkBytes) };
    }
    position += data.length;
  }
}

/** How much a download reads at once: it reads ahead as soon as there is room for it, and then to its end. */
class Width implements Disposable {
  readonly #budget: ByteBudget;
  readonly #whose: string;
  #isWide = false;

  constructor(budget: ByteBudget, whose: string) {
    this.#budget = budget;
    this.#whose = whose;
  }

  tryWiden(): boolean {
    this.#isWide ||= this.#budget.take({ whose: this.#whose }, aheadBytes);
    return this.#isWide;
  }

  [Symbol.dispose](): void {
    if (this.#isWide) this.#budget.give({ whose: this.#whose }, aheadBytes);
  }
}

/** The bytes of a range: in large parts, the next of which is being read already, or in small ones where there is no room for that. */
async function* readAhead(
  image: RangeSource,
  range: { readonly from: number; readonly end: number },
  width: Width,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const read = (from: number, most: number): Promise<Buffer> =>
    image.read(from, Math.min(most, range.end - from), signal);
  let next: Promise<Buffer> | undefined;
  for (let { from } = range; from < range.end; ) {
    next ??= read(from, width.tryWiden() ? wideBytes : chunkBytes);
    // Where a large part cannot be read, all that stands before the damage can be.
    const data = await next.catch(() => read(from, chunkBytes));
    from += data.length;
    next = width.tryWiden() && from < range.end ? read(from, wideBytes) : undefined;
    // It is waited for in its turn; until then a failure is nobody's.
    next?.catch(() => undefined);
    yield data;
  }
}
