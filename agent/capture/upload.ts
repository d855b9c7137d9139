import { encodeChunk } from '@kcorder/proto/bridge/chunk.ts';
import type { Calls, Duplex } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { Acquirer } from '../avml/avml.ts';
import { timestamp } from '../clock.ts';
import type { PodContainer } from '../containers.ts';
import type { Counters } from '../counters.ts';
import type { LeftOutMemory } from '../kernel/iomem.ts';
import type { Acquisition, AcquisitionEnd } from './acquisition.ts';

/** What an upload says of its capture besides the bytes. */
export interface CaptureFacts {
  readonly captureId: string;
  readonly acquirer: Acquirer;
  readonly bootId: string;
  readonly leftOutMemory: readonly LeftOutMemory[];
  readonly containers: readonly PodContainer[];
  /** Whether an order has ended it. */
  readonly canceled: () => boolean;
  readonly counters: Counters;
}

/** The collector's seal on the evidence. */
export interface Seal {
  readonly bytes: bigint;
  readonly sha256: Uint8Array;
}

type Ingest = Calls<typeof IngestService>;
type Stream = ReturnType<Ingest['upload']>;
type Response = Stream extends Duplex<unknown, infer O> ? O : never;

/** grpc-js counts messages, not bytes: two are enough to keep the transport busy. */
const messagesInFlight = 2;

/** One stream among those of an upload. */
export interface Turn {
  /** 1 for the first, then one more each time. */
  readonly attempt: number;
  /** Leaves the stream before, when that one works; it is left once this one has begun or failed. */
  readonly before: (() => void) | undefined;
  /** Resolves when there is a newer connection. */
  readonly replaced: (signal: AbortSignal) => Promise<void>;
}

/** What the sending half of a stream learns of the other. */
interface Course {
  /** The collector's durable offset. */
  readonly resumed: Promise<number>;
  readonly over: AbortSignal;
  /** There is a newer connection to go on with. */
  readonly moving: AbortSignal;
}

/** How a stream ended that did not break. */
export type StreamEnd =
  | { readonly kind: 'sealed'; readonly seal: Seal }
  /** There is a newer connection. The stream is open, so that the collector sees that it did not break, until it is left. */
  | { readonly kind: 'moved'; readonly leave: () => void };

/**
 * One stream of an upload: opens it, goes on from the collector's durable offset, and ends with the seal or between two chunks. Throws the fault
 * that broke it; the acquisition is left as it is, so that the next attempt can go on.
 */
export async function uploadOnce(
  ingest: Ingest,
  facts: CaptureFacts,
  acquisition: Acquisition,
  { attempt, before, replaced }: Turn,
  signal: AbortSignal,
): Promise<StreamEnd> {
  const stream = ingest.upload({ signal });
  const over = new AbortController();
  const moving = new AbortController();
  const resumed = Promise.withResolvers<number>();
  resumed.promise.catch(() => undefined).finally(before);
  let moved = false;
  try {
    const sealed = receive(stream.responses, acquisition, resumed.resolve).then((seal) => ({
      kind: 'sealed' as const,
      seal,
    }));
    const opened = openMessage(facts, acquisition, attempt, before !== undefined);
    const course = { resumed: resumed.promise, over: over.signal, moving: moving.signal };
    const sent = sendAll(stream, facts, acquisition, opened, course);
    Promise.all([replaced(over.signal), resumed.promise]).then(
      () => moving.abort(),
      () => undefined,
    );
    // A write that fails says less than the status that follows it, so only our own findings count here.
    const refuted = sent.then(
      (all): StreamEnd | Promise<StreamEnd> => {
        moved = !all && !over.signal.aborted;
        return moved ? { kind: 'moved', leave: stream.cancel } : sealed;
      },
      (error: unknown) =>
        error instanceof Fault && error.code === 'integrity_conflict' ? Promise.reject(error) : sealed,
    );
    return await Promise.race([sealed, refuted]);
  } finally {
    over.abort();
    resumed.reject(over.signal.reason);
    if (!moved) stream.cancel();
  }
}

async function receive(
  responses: AsyncIterable<Response>,
  acquisition: Acquisition,
  resumed: (offset: number) => void,
): Promise<Seal> {
  let first = true;
  for await (const { message } of responses) {
    if (first !== (message.case === 'resume')) {
      throw new Fault(
        'version_unsupported',
        'the collector answers an upload in an unknown way; bring both to one version',
      );
    }
    first = false;
    switch (message.case) {
      case 'resume': {
        const offset = Number(message.value.durableOffset);
        checkResume(offset, acquisition);
        acquisition.acknowledge(offset);
        resumed(offset);
        break;
      }
      case 'acknowledgement':
        acquisition.acknowledge(Number(message.value.durableOffset));
        break;
      case 'sealed':
        return message.value;
      case undefined:
        // Something a newer collector says in addition.
        break;
    }
  }
  throw new Fault('unavailable', 'the collector ended the upload before it sealed the evidence');
}

function checkResume(offset: number, { window }: Acquisition): void {
  if (offset >= window.heldFrom) return;
  throw new Fault(
    'integrity_conflict',
    `the collector asks for bytes from ${offset}, but had acknowledged ${window.heldFrom}: it lost what it called durable; start a new capture`,
  );
}

/** Sends until the finish (true), or until the stream is over or is to be left (false). */
async function sendAll(
  stream: Stream,
  facts: CaptureFacts,
  acquisition: Acquisition,
  open: ReturnType<typeof openMessage>,
  { resumed, over, moving }: Course,
): Promise<boolean> {
  await stream.send({ message: { case: 'open', value: open } });
  let offset = await resumed;
  const inFlight: Promise<void>[] = [];
  const move = new Promise<void>((resolve) => moving.addEventListener('abort', () => resolve(), { once: true }));
  while (!over.aborted && !moving.aborted) {
    const changed = acquisition.changed.next;
    const { end } = acquisition;
    // Acknowledged in advance of being sent: a lie of the collector's, which the hash of the whole will show.
    offset = Math.max(offset, acquisition.window.heldFrom);
    const chunk = acquisition.window.chunkAt(offset);
    if (chunk !== undefined) {
      if (inFlight.length >= messagesInFlight) await Promise.race([inFlight.shift(), move]);
      if (over.aborted || moving.aborted) return false;
      const sending = stream.sendEncoded(encodeChunk(chunk.offsetBytes, chunk.crc32, chunk.place));
      sending.catch(() => undefined);
      inFlight.push(sending);
      offset += chunk.dataBytes;
      facts.counters.sentBytes += chunk.dataBytes;
    } else if (end !== undefined) {
      await stream.send({ message: { case: 'finish', value: finishMessage(facts, acquisition, end) } });
      return true;
    } else {
      await Promise.race([changed, move]);
    }
  }
  return false;
}

function openMessage(facts: CaptureFacts, acquisition: Acquisition, attempt: number, moved: boolean) {
  return {
    captureId: facts.captureId,
    acquisitionId: acquisition.id,
    attempt,
    moved,
    heldFrom: BigInt(acquisition.window.heldFrom),
    start: {
      acquirer: facts.acquirer,
      argv: [...acquisition.argv],
      startedAt: timestamp(acquisition.startedAt),
      bootId: facts.bootId,
      leftOutMemory: [...facts.leftOutMemory],
      containers: [...facts.containers],
    },
  };
}

function finishMessage(facts: CaptureFacts, acquisition: Acquisition, end: AcquisitionEnd) {
  const { firstByteAt, lastByteAt } = acquisition;
  return {
    bytes: BigInt(end.bytes),
    sha256: end.sha256,
    exitCode: end.exitCode,
    signal: end.signal,
    stderrTail: end.stderrTail,
    ...(firstByteAt === undefined ? {} : { firstByteAt: timestamp(firstByteAt) }),
    ...(lastByteAt === undefined ? {} : { lastByteAt: timestamp(lastByteAt) }),
    endedAt: timestamp(end.endedAt),
    canceled: facts.canceled(),
  };
}
