import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** Messages that are given to a stream before it has sent the first of them: one on its way, and one for when that has been sent. */
const mostUnsent = 2;

/** How long the status of a call that failed waits for messages before it that are on their way: with it a stream ends within a minute of the right to it. */
export const farewellMs = 15_000;

/**
 * Writes every message, asks for the next one when all but one are sent, and ends when all are: until then its right is asked for. Ends with the
 * signal's reason at once, also while it waits for the next message or for the stream.
 */
export async function pump(messages: AsyncIterable<AnyMessage>, sink: Writable, signal: AbortSignal): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  let interrupt: (reason: unknown) => void = () => undefined;
  let sent: () => unknown = () => undefined;
  let unsent = 0;
  const abort = () => interrupt(signal.reason);
  const oneSent = (): Promise<void> =>
    new Promise((resolve, reject) => {
      interrupt = reject;
      sent = resolve;
    });
  // Not waited for: it comes to its end when what it waits for does.
  const leave = (): void => void iterator.return?.().catch(() => undefined);
  signal.addEventListener('abort', abort, { once: true });
  try {
    while (true) {
      signal.throwIfAborted();
      // A race against one promise of the whole stream would keep a reaction for each message.
      const { done, value } = await new Promise<IteratorResult<AnyMessage>>((resolve, reject) => {
        interrupt = reject;
        iterator.next().then(resolve, reject);
      });
      if (done) break;
      signal.throwIfAborted();
      unsent += 1;
      sink.write(value, () => {
        unsent -= 1;
        sent();
      });
      if (unsent >= mostUnsent) await oneSent();
    }
    while (unsent > 0) {
      signal.throwIfAborted();
      await oneSent();
    }
    signal.throwIfAborted();
  } catch (error) {
    leave();
    // Node destroys a stream that fails while somebody iterates over it, and the status with it if a write is under way.
    const hasPeer = !(error instanceof Fault && error.code === 'canceled') && !sink.destroyed;
    const allSent = new Promise<void>((resolve) => {
      sent = () => unsent === 0 && resolve();
    });
    if (unsent > 0 && hasPeer) await Promise.race([allSent, sleep(farewellMs, undefined, { ref: false })]);
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    leave();
  }
}
