import { Fault } from '@kcorder/proto/fault.ts';
import { type Verdict, VerdictSchema } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { resolveId, sealedImage } from '../calls/resolve-capture.ts';
import { exitCode } from '../exit-code.ts';
import { createMeter } from '../follow/meter.ts';
import { leavable } from '../follow/stream.ts';
import { documentOf } from '../output/document.ts';
import { transferText } from '../output/figures.ts';
import { startLiveLine } from '../output/live-line.ts';
import { verdictText } from '../render/verdict.ts';
import type { Session } from '../session.ts';

/** What a verification came to. */
interface Verified {
  readonly verdict: Verdict;
  readonly totalBytes: bigint;
}

/** `kcorder verify CAPTURE|NODE`: has the collector read the whole image and compare it with its manifest. */
export async function verify(session: Session, target: string): Promise<number> {
  const captureId = await resolveId(session, target, sealedImage);
  const { verdict, totalBytes } = await follow(session, captureId);
  session.print({
    document: () => ({
      captureId,
      totalBytes: String(totalBytes),
      verdict: documentOf(VerdictSchema, verdict),
    }),
    table: (look) => verdictText(captureId, verdict, totalBytes, look),
  });
  if (verdict.intact) return exitCode.ok;
  session.warn(`the evidence of capture ${captureId} is DAMAGED: ${verdict.detail || 'no reason given'}`);
  session.note(
    `Keep what is there (\`kcorder hold ${captureId} --reason TEXT\`), look for a copy that somebody downloaded, and examine the disk or bucket that it lies on.`,
  );
  return exitCode.partial;
}

async function follow({ evidence, terminal, paint }: Session, captureId: string): Promise<Verified> {
  const meter = createMeter();
  let verdict: Verdict | undefined;
  let [doneBytes, totalBytes] = [0n, 0n];
  const text = (): string => {
    if (totalBytes === 0n) return '';
    const nowMs = Date.now();
    return `verifying ${captureId}: ${transferText(doneBytes, totalBytes, meter.rate(nowMs), meter.leftMs(nowMs))}`;
  };
  using _line = startLiveLine(terminal.err, paint, text);
  const signal = terminal.interrupt;
  for await (const message of leavable((own) => evidence.verifyEvidence({ captureId }, { signal: own }), signal)) {
    ({ doneBytes, totalBytes } = message);
    if (totalBytes > 0n) meter.add(Date.now(), Number(doneBytes), Number(doneBytes) / Number(totalBytes));
    verdict = message.verdict ?? verdict;
  }
  if (verdict === undefined) {
    throw new Fault(
      'unavailable',
      `the collector ended the verification of capture ${captureId} without a verdict. Try again`,
    );
  }
  return { verdict, totalBytes };
}
