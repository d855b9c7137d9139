import { printStorage } from '../calls/evidence.ts';
import { exitCode } from '../exit-code.ts';
import type { Session } from '../session.ts';

/** A bucket takes a while to put an image on hold. */
const deadlineMs = 60_000;

/** `kcorder hold CAPTURE --reason …`: nothing deletes its evidence any more. */
export async function hold(session: Session, captureId: string, reason: string): Promise<number> {
  const { storage } = await session.evidence.holdEvidence(
    { captureId, reason },
    { signal: session.terminal.interrupt, deadlineMs },
  );
  session.note(`The evidence of capture ${captureId} is on hold: nothing deletes it before \`kcorder release\`.`);
  printStorage(session, captureId, storage);
  return exitCode.ok;
}

/** `kcorder release CAPTURE --reason …`: takes every hold away. */
export async function release(session: Session, captureId: string, reason: string): Promise<number> {
  const { storage } = await session.evidence.releaseEvidence(
    { captureId, reason },
    { signal: session.terminal.interrupt, deadlineMs },
  );
  session.note(
    `The evidence of capture ${captureId} is on hold no longer: its schedule's retention, or the collector's, may delete it.`,
  );
  printStorage(session, captureId, storage);
  return exitCode.ok;
}
