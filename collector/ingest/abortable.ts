/**
 * The next item, or the signal's reason as soon as it fires. Not a race against one promise of the signal: such a promise keeps every
 * item that it ever raced with, here the whole image, until it settles.
 */
export async function nextUnlessAborted<T>(items: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T>> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T>>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  items.next().then(resolve, reject);
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
