import { agree } from '../calls/agree.ts';
import { getCapture } from '../calls/captures.ts';
import { printStorage } from '../calls/evidence.ts';
import { exitCode } from '../exit-code.ts';
import { bytesText, momentOf, utcText } from '../output/figures.ts';
import type { Session } from '../session.ts';

/** A bucket takes a while to forget an image. */
const deadlineMs = 60_000;

/** `kcorder delete CAPTURE --reason …`: deletes its image, manifest and results for good. */
export async function deleteEvidence(
  session: Session,
  captureId: string,
  reason: string,
  yes: boolean,
): Promise<number> {
  if (!yes) await agreeTo(session, captureId);
  const { storage } = await session.evidence.deleteEvidence(
    { captureId, reason },
    { signal: session.terminal.interrupt, deadlineMs },
  );
  session.note(
    `The evidence of capture ${captureId} is deleted. Who did it, when and why stays, and so do the capture and its audit records.`,
  );
  printStorage(session, captureId, storage);
  return exitCode.ok;
}

async function agreeTo(session: Session, captureId: string): Promise<void> {
  const { nodeName, durableBytes, requestedAt } = await getCapture(session, captureId);
  const taken = `${bytesText(durableBytes)} of node ${nodeName}, asked for at ${utcText(momentOf(requestedAt))} UTC`;
  await agree(session, {
    text: `Delete the evidence of capture ${captureId} for good: ${taken}?`,
    refusal: `the evidence of capture ${captureId} was not deleted: ${taken}. Repeat with --yes.`,
    declined: 'nothing was deleted',
  });
}
