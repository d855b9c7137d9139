import { setTimeout as sleep } from 'node:timers/promises';
import { Attempts } from './attempts.ts';
import type { DownloadEnd, DownloadRequest, Take } from './download.ts';
import { pauseMs, type Timeouts } from './timeouts.ts';

/**
 * Gets an object or a part of it by HTTP. Network errors, cut and silent bodies and 408, 429 and 5xx are tried again after a pause, from the
 * byte where the last try stopped when the server has ranges and the object is still the same one, and from its beginning when not. Throws the
 * signal's reason and whatever `take` throws.
 */
export async function download(
  request: DownloadRequest,
  take: Take,
  timeouts: Timeouts,
  signal: AbortSignal,
): Promise<DownloadEnd> {
  const attempts = new Attempts(request, take, timeouts);
  let failures = 0;
  while (true) {
    const end = await attempts.next(signal);
    if (end.kind !== 'again') return end;
    failures = end.advanced ? 1 : failures + 1;
    if (failures >= timeouts.attempts) {
      return { kind: 'failed', reason: `${end.reason}; tried ${failures} times`, transient: true };
    }
    await sleep(pauseMs(failures, end.retryAfterMs, timeouts), undefined, { signal }).catch(() => {});
    signal.throwIfAborted();
  }
}
