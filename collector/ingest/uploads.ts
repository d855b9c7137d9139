import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import type { UploadRequest, UploadResponseSchema } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import type { Acquisition, StreamHolder } from './acquisition.ts';
import type { Acquisitions } from './acquisitions.ts';
import { Latest } from './latest.ts';
import { endOf, startOf } from './translate.ts';

type Response = MessageInitShape<typeof UploadResponseSchema>;

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
  const { captureId, acquisitionId, attempt, heldFrom } = open;
  const { acquisition, epoch } = await acquisitions.begin(node, captureId, startOf(open, new Date()), attempt);
  const controller = new AbortController();
  const closed = Promise.withResolvers<void>();
  const holder: StreamHolder = {
    acquisitionId,
    attempt,
    end: async (fault) => {
      controller.abort(fault);
      await closed.promise;
    },
  };
  acquisition.holder = holder;
  let fault: Fault | undefined;
  try {
    if (BigInt(acquisition.durableBytes) < heldFrom) {
      throw new Fault(
        'integrity_conflict',
        `capture ${captureId}: byte ${acquisition.durableBytes} comes next, the agent holds bytes from ${heldFrom} on only`,
      );
    }
    yield { message: { case: 'resume', value: { epoch, durableOffset: BigInt(acquisition.durableBytes) } } };
    yield* exchange(iterator, acquisition, acquisitions, AbortSignal.any([signal, controller.signal]));
  } catch (error) {
    fault = Fault.from(error);
    throw fault;
  } finally {
    if (acquisition.holder === holder) acquisition.holder = undefined;
    controller.abort(new Fault('stream_fenced', 'this stream has ended'));
    closed.resolve();
    if (fault?.code === 'ceiling_exceeded' || fault?.code === 'integrity_conflict') {
      const event = {
        kind: 'broken',
        at: new Date().toISOString(),
        reason: fault.code,
        detail: fault.message,
      } as const;
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
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true });
  while (true) {
    signal.throwIfAborted();
    const { done, value } = await Promise.race([requests.next(), aborted.promise]);
    if (done) throw new Fault('unavailable', `capture ${id}: the stream ended without a finish`);
    const { message } = value;
    if (message.case === 'chunk') {
      await acquisition.store(message.value, signal);
    } else if (message.case === 'finish') {
      await acquisition.settle();
      const evidence = await acquisitions.finish(id, endOf(message.value));
      return {
        message: {
          case: 'sealed',
          value: { bytes: BigInt(evidence?.bytes ?? 0), sha256: Buffer.from(evidence?.sha256 ?? '', 'hex') },
        },
      };
    } else {
      throw new Fault('invalid_argument', `capture ${id}: a chunk or a finish is expected after the open`);
    }
  }
}
