import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault, type FaultCode } from '@kcorder/proto/fault.ts';
import type { UploadOpen, UploadRequest, UploadResponseSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { Evidence, NodeIdentity } from '../capture/capture.ts';
import type { BreakReason } from '../capture/event.ts';
import { nextUnlessAborted } from './abortable.ts';
import type { Acquisition, StreamHolder } from './acquisition.ts';
import type { Acquisitions } from './acquisitions.ts';
import { Latest } from './latest.ts';
import { endOf, startOf } from './translate.ts';

type Response = MessageInitShape<typeof UploadResponseSchema>;

/** Faults that no further attempt can mend, and what they make of the capture. */
const breaking: Partial<Record<FaultCode, BreakReason>> = {
  ceiling_exceeded: 'ceiling_exceeded',
  integrity_conflict: 'integrity_conflict',
  evidence_missing: 'integrity_conflict',
};

/**
 * Serves one upload stream of a node, from its open to the seal. At most one stream per capture is open: a later attempt of the same
 * acquisition fences the one before it. Faults that no further attempt can mend end the capture, the others leave it to the next attempt.
 */
export async function* receiveUpload(
  requests: AsyncIterable<UploadRequest>,
  node: NodeIdentity,
  acquisitions: Acquisitions,
  signal: AbortSignal,
): AsyncIterable<Response> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done || first.value.message.case !== 'open') {
    throw new Fault('invalid_argument', 'an upload begins with an open: this stream began with something else');
  }
  const open = first.value.message.value;
  const { captureId, acquisitionId, attempt, moved } = open;
  const evidence = acquisitions.completedBy(node, captureId, acquisitionId);
  if (evidence !== undefined) {
    // The seal got lost on its way: say it again.
    yield { message: { case: 'resume', value: { durableOffset: BigInt(evidence.bytes) } } };
    yield sealedResponse(evidence);
    return;
  }
  const controller = new AbortController();
  const closed = Promise.withResolvers<void>();
  const left = new Fault('stream_fenced', `capture ${captureId}: the agent has moved to a newer connection`);
  const holder: StreamHolder = {
    acquisitionId,
    attempt,
    moved,
    end: async (fault = left) => {
      controller.abort(fault);
      await closed.promise;
    },
  };
  /** This stream writes no more. */
  const letGo = async (fault?: Fault): Promise<void> => {
    acquisitions.leave(captureId, holder);
    closed.resolve();
    const reason = fault === undefined ? undefined : breaking[fault.code];
    if (fault === undefined || reason === undefined) return;
    const event = { kind: 'broken', at: new Date().toISOString(), reason, detail: fault.message } as const;
    await acquisitions.conclude(captureId, event, 'collector');
  };
  const failed = async (error: unknown): Promise<never> => {
    await letGo(Fault.from(error));
    throw error;
  };
  const { acquisition, resume } = await begin(acquisitions, node, open, holder).catch(failed);
  const responses = new Latest<Response>();
  acquisition.acknowledge = (durable) =>
    responses.put({ message: { case: 'acknowledgement', value: { durableOffset: BigInt(durable) } } });
  const stop = AbortSignal.any([signal, controller.signal]);
  stop.addEventListener('abort', () => responses.end({ error: stop.reason }), { once: true });
  // Beside the answers: whoever waits until this stream writes no more must not wait until its node takes them.
  const consumed = consume(iterator, acquisition, acquisitions, stop)
    .then(async (sealed) => {
      await letGo();
      responses.put(sealed);
      responses.end();
    }, failed)
    .catch((error: unknown) => responses.end({ error }));
  try {
    yield resume;
    yield* responses;
  } catch (error) {
    if (error !== left) throw error;
  } finally {
    controller.abort(new Fault('stream_fenced', 'this stream has ended'));
    await consumed;
  }
}

/** Begins the acquisition, or goes on with it. Throws as `Acquisitions.begin` does, and integrity_conflict when the agent lacks the bytes that come next. */
async function begin(acquisitions: Acquisitions, node: NodeIdentity, open: UploadOpen, holder: StreamHolder) {
  const { captureId, heldFrom } = open;
  const { acquisition, epoch } = await acquisitions.begin(node, captureId, startOf(open, new Date()), holder);
  const { durableBytes } = acquisition;
  if (BigInt(durableBytes) < heldFrom) {
    throw new Fault(
      'integrity_conflict',
      `capture ${captureId}: byte ${durableBytes} comes next, the agent holds bytes from ${heldFrom} on only`,
    );
  }
  const resume: Response = { message: { case: 'resume', value: { epoch, durableOffset: BigInt(durableBytes) } } };
  return { acquisition, resume };
}

async function consume(
  requests: AsyncIterator<UploadRequest>,
  acquisition: Acquisition,
  acquisitions: Acquisitions,
  signal: AbortSignal,
): Promise<Response> {
  const { id } = acquisition.request;
  while (true) {
    const { done, value } = await nextUnlessAborted(requests, signal);
    if (done) throw new Fault('unavailable', `capture ${id}: the stream ended without a finish`);
    const { message } = value;
    if (message.case === 'chunk') {
      await acquisition.store(message.value, signal);
    } else if (message.case === 'finish') {
      await acquisition.settle();
      return sealedResponse(await acquisitions.finish(id, endOf(message.value)));
    } else {
      throw new Fault('invalid_argument', `capture ${id}: a chunk or a finish is expected after the open`);
    }
  }
}

function sealedResponse(evidence: Evidence | undefined): Response {
  const { bytes, sha256 } = evidence ?? { bytes: 0, sha256: '' };
  return { message: { case: 'sealed', value: { bytes: BigInt(bytes), sha256: Buffer.from(sha256, 'hex') } } };
}
