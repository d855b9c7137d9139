import { Fault } from '@kcorder/proto/fault.ts';
import { printCapture } from '../calls/captures.ts';
import { exitCode } from '../exit-code.ts';
import { awaitCapture } from '../follow/await-capture.ts';
import { conclude } from '../follow/conclude.ts';
import type { Session } from '../session.ts';

/** Whether to wait for the results, and how long. */
export interface AnalyzeOptions {
  readonly wait: boolean;
  readonly timeoutMs: number;
}

/** `kcorder analyze CAPTURE`: has its image analysed again. */
export async function analyze(session: Session, captureId: string, options: AnalyzeOptions): Promise<number> {
  const { capture } = await session.calls.analyzeCapture({ captureId }, { signal: session.terminal.interrupt });
  if (capture === undefined) throw new Fault('internal', `the collector answered without capture ${captureId}`);
  session.note(`The image of capture ${captureId} is analysed again; the results take the place of the earlier ones.`);
  if (!options.wait) {
    session.note(`\`kcorder watch ${captureId}\` follows it, \`kcorder ps ${captureId}\` shows the processes.`);
    printCapture(session, capture);
    return exitCode.ok;
  }
  const ended = await awaitCapture(session, captureId, { timeoutMs: options.timeoutMs, known: true });
  return (await conclude(session, ended)).exit;
}
