import type { Client } from '@grpc/grpc-js';

/** How long a single look at the connection lasts: a signal is noticed at latest then. */
const patienceMs = 5_000;

/**
 * Has the channel connect, and resolves when it has (true), or after five seconds (false): the call that follows then fails with the reason. Without this
 * a call would fail at once whenever the channel is between two tries of its own.
 */
export function reach(client: Client, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    client.waitForReady(Date.now() + patienceMs, (error) => {
      signal.removeEventListener('abort', abort);
      resolve(error === undefined);
    });
  });
}
