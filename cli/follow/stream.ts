/**
 * The messages of a stream that may be left early: its call is then canceled and read to its end, since grpc-js reports the cancellation as
 * an error event that ends the process when nobody reads any more.
 */
export async function* leavable<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const left = new AbortController();
  const messages = open(AbortSignal.any([signal, left.signal]))[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (let next = await messages.next(); !next.done; next = await messages.next()) yield next.value;
    ended = true;
  } catch (error) {
    ended = true;
    throw error;
  } finally {
    left.abort();
    if (!ended) await drain(messages);
  }
}

async function drain(messages: AsyncIterator<unknown>): Promise<void> {
  try {
    while (!(await messages.next()).done);
  } catch {
    // The cancellation that was asked for.
  }
}
