import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault, type FaultCode } from '@kcorder/proto/fault.ts';
import type { UploadRequest, UploadResponseSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
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
  const { captureId, acquisitionId, attempt, heldFrom, moved } = open;
  const start = startOf(open, new Date());
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
  let fault: Fault | undefined;
  try {
    const { acquisition, epoch } = await acquisitions.begin(node, captureId, start, holder);
    if (BigInt(acquisition.durableBytes) < heldFrom) {
      throw new Fault(
        'integrity_conflict',
        `capture ${captureId}: byte ${acquisition.durableBytes} comes next, the agent holds bytes from ${heldFrom} on only`,
      );
    }
    yield { message: { case: 'resume', value: { epoch, durableOffset: BigInt(acquisition.durableBytes) } } };
    yield* exchange(iterator, acquisition, acquisitions, AbortSignal.any([signal, controller.signal]));
  } catch (error) {
    if (error === left) return;
    fault = Fault.from(error);
    throw fault;
  } finally {
    acquisitions.leave(captureId, holder);
    controller.abort(new Fault('stream_fenced', 'this stream has ended'));
    closed.resolve();
    const reason = fault === undefined ? undefined : breaking[fault.code];
    if (fault !== undefined && reason !== undefined) {
      const event = { kind: 'broken', at: new Date().toISOString(), reason, detail: fault.message } as const;
      await acquisitions.conclude(captureId, event, 'collector');
    }
  }
}

async function* exchange(
  requests: AsyncIterator<UploadRequest>,
  acquisition: Acquisition,
  acquisitions: Acquisitions,
  signal: AbortSignal,
): AsyncIterable<Response> {
  const responses = new Latest<Response>();
  acquisition.acknowledge = (durable) =>
    responses.put({ message: { case: 'acknowledgement', value: { durableOffset: BigInt(durable) } } });
  signal.addEventListener('abort', () => responses.end({ error: signal.reason }), { once: true });
  const consumed = consume(requests, acquisition, acquisitions, signal).then(
    (sealed) => {
      responses.put(sealed);
      responses.end();
    },
    (error: unknown) => responses.end({ error }),
  );
  try {
    yield* responses;
  } finally {
    // The next stream of this capture may only begin when this one has stopped writing.
    await consumed;
  }
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
