import type { Calls } from '@kcorder/proto/bridge/connect.ts';
import type { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { TypesPiece } from './kernel/kernel-types.ts';

/** Sends what was ordered. One piece is under way at a time. Throws the call's fault, and errors of reading after having told the collector. */
export async function sendTypes(
  ingest: Calls<typeof IngestService>,
  transferId: string,
  pieces: Iterable<TypesPiece>,
  signal: AbortSignal,
): Promise<void> {
  const stream = ingest.sendKernelTypes({ signal });
  const answered = drain(stream.responses);
  // A stream that breaks fails the send too, and says why here.
  answered.catch(() => undefined);
  await stream.send({ message: { case: 'open', value: { transferId } } });
  try {
    for (const piece of pieces) await stream.send({ message: piece });
  } catch (error) {
    const message = `the node cannot read it: ${error instanceof Error ? error.message : String(error)}`;
    await stream.send({ message: { case: 'refusal', value: { message } } }).catch(() => undefined);
    stream.end();
    await answered.catch(() => undefined);
    throw error;
  }
  stream.end();
  await answered;
}

async function drain(responses: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of responses);
}
