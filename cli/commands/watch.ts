import { resolveId } from '../calls/resolve-capture.ts';
import { awaitCapture } from '../follow/await-capture.ts';
import { conclude } from '../follow/conclude.ts';
import type { Session } from '../session.ts';

/** `kcorder watch CAPTURE|NODE`: follows a capture to its end and prints what `capture --wait` prints. */
export async function watch(session: Session, target: string, timeoutMs: number): Promise<number> {
  const id = await resolveId(session, target);
  const capture = await awaitCapture(session, id, { timeoutMs, known: false });
  return (await conclude(session, capture)).exit;
}
