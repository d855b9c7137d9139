import { Fault } from '@kcorder/proto/fault.ts';
import { printCapture } from '../calls/captures.ts';
import { exitCode } from '../exit-code.ts';
import { hasEnded } from '../render/capture-words.ts';
import type { Session } from '../session.ts';

/** `kcorder cancel ID`: stops a running capture. */
export async function cancel(session: Session, captureId: string): Promise<number> {
  const { capture } = await session.calls.cancelCapture({ captureId }, { signal: session.terminal.interrupt });
  if (capture === undefined) throw new Fault('internal', `the collector answered without capture ${captureId}`);
  session.note(
    hasEnded(capture)
      ? `Capture ${captureId} has ended. What was acquired is kept.`
      : `Capture ${captureId} is being stopped; what was acquired is kept. \`kcorder watch ${captureId}\` shows its end.`,
  );
  printCapture(session, capture);
  return exitCode.ok;
}
