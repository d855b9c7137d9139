import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Prometheus waits ten seconds for an answer. */
const longestRestMs = 2_000;

/**
 * Returns a function that answers with a text shared by all who ask before it is there. The next reading begins when four times as long has passed as
 * the one before took, up to 2 s: whoever asks in a loop leaves the process most of its time. Of a connection that has ended nothing is held.
 */
export function sharedAnswer(read: () => Promise<string>, contentType: string): (response: ServerResponse) => void {
  const waiting = new Set<ServerResponse>();
  let reading = false;
  let restUntilMs = 0;
  const take = async (): Promise<void> => {
    const restMs = restUntilMs - performance.now();
    if (restMs > 0) await sleep(restMs);
    const fromMs = performance.now();
    const text = await read().catch(() => undefined);
    const nowMs = performance.now();
    restUntilMs = nowMs + Math.min(longestRestMs, 4 * (nowMs - fromMs));
    reading = false;
    for (const response of waiting) {
      waiting.delete(response);
      if (text === undefined) response.writeHead(500).end();
      else response.writeHead(200, { 'content-type': contentType }).end(text);
    }
  };
  return (response) => {
    waiting.add(response);
    response.once('close', () => waiting.delete(response));
    if (reading) return;
    reading = true;
    void take();
  };
}
