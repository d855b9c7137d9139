import { Fault } from '@kcorder/proto/fault.ts';
import { getCapture, printCapture } from '../calls/captures.ts';
import { exitCode } from '../exit-code.ts';
import { hasEnded } from '../render/capture-words.ts';
import type { Session } from '../session.ts';

/** `kcorder cancel ID`: stops a running capture. */
export async function cancel(session: Session, captureId: string): Promise<number> {
  const { capture } = await session.calls
    .cancelCapture({ captureId }, { signal: session.terminal.interrupt })
    .catch((error: unknown) => explain(session, captureId, error));
  if (capture === undefined) throw new Fault('internal', `the collector answered without capture ${captureId}`);
  session.note(
    hasEnded(capture)
      ? `Capture ${captureId} has ended. What was acquired is kept.`
      : `Capture ${captureId} is being stopped; what was acquired is kept. \`kcorder watch ${captureId}\` shows its end.`,
  );
  printCapture(session, capture);
  return exitCode.ok;
}

/** `kcorder cancel ID --analysis`: stops its analysis. */
export async function cancelAnalysis(session: Session, captureId: string): Promise<number> {
  const { capture } = await session.calls.cancelAnalysis({ captureId }, { signal: session.terminal.interrupt });
  if (capture === undefined) throw new Fault('internal', `the collector answered without capture ${captureId}`);
  session.note(
    hasEnded(capture)
      ? `The analysis of capture ${captureId} is canceled.`
      : `The analysis of capture ${captureId} is being stopped. \`kcorder watch ${captureId}\` shows its end.`,
  );
  printCapture(session, capture);
  return exitCode.ok;
}

/** Whoever wants to stop an analysis is told how. */
async function explain(session: Session, captureId: string, error: unknown): Promise<never> {
  const fault = Fault.from(error);
  if (fault.code !== 'capture_ended') throw fault;
  const capture = await getCapture(session, captureId);
  if (hasEnded(capture)) throw fault;
  throw new Fault(
    'capture_ended',
    `capture ${captureId} has ended, and its analysis has not. \`kcorder cancel ${captureId} --analysis\` stops it`,
  );
}
