import { awaitCapture } from '../follow/await-capture.ts';
import { conclude } from '../follow/conclude.ts';
import type { Session } from '../session.ts';

/** `kcorder watch ID`: follows a capture to its end and prints what `capture --wait` prints. */
export async function watch(session: Session, captureId: string, timeoutMs: number): Promise<number> {
  const capture = await awaitCapture(session, captureId, { timeoutMs, known: false });
  return (await conclude(session, capture)).exit;
}
