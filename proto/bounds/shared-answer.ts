import { setTimeout as sleep } from 'node:timers/promises';

/** Prometheus waits ten seconds for an answer. */
const longestRestMs = 2_000;

/**
 * Returns a function whose answer is shared by all who ask before it is there. The next reading begins when four times as long has passed as the one
 * before took, up to 2 s: whoever asks in a loop leaves the process most of its time.
 */
export function sharedAnswer(read: () => Promise<string>): () => Promise<string> {
  let answer: Promise<string> | undefined;
  let restUntilMs = 0;
  const take = async (): Promise<string> => {
    const restMs = restUntilMs - performance.now();
    if (restMs > 0) await sleep(restMs);
    const fromMs = performance.now();
    try {
      return await read();
    } finally {
      const nowMs = performance.now();
      restUntilMs = nowMs + Math.min(longestRestMs, 4 * (nowMs - fromMs));
      answer = undefined;
    }
  };
  return () => {
    answer ??= take();
    return answer;
  };
}
