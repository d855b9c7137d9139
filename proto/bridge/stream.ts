import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { Fault } from '../fault.ts';
import { type AnyMessage, RefusedMessage } from './definition.ts';

/** The messages of a grpc-js stream. A stream that breaks throws its error, a message beyond its bounds its fault; one that is left early is drained by its owner. */
export async function* streamed<T extends AnyMessage>(call: Readable): AsyncGenerator<T, void, undefined> {
  try {
    // destroyOnReturn stays off: leaving the loop must not reset a call whose status is still to be sent.
    for await (const message of call.iterator({ destroyOnReturn: false })) {
      if (message instanceof RefusedMessage) throw message.fault;
      yield message;
    }
  } catch (error) {
    const premature = error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
    throw premature ? new Fault('unavailable', 'the stream broke off', { cause: error }) : error;
  }
}

/** Writes every message, waiting whenever the stream asks for it. Ends early with the signal's reason. */
export async function pump(messages: AsyncIterable<AnyMessage>, sink: Writable, signal: AbortSignal): Promise<void> {
  for await (const message of messages) {
    signal.throwIfAborted();
    if (!sink.write(message)) await once(sink, 'drain', { signal });
  }
  signal.throwIfAborted();
}
