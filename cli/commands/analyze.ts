import { Fault } from '@kcorder/proto/fault.ts';
import type { AnalysisChoice } from '../calls/analysis-choice.ts';
import { printCapture } from '../calls/captures.ts';
import { completeImage, resolveId } from '../calls/resolve-capture.ts';
import { exitCode } from '../exit-code.ts';
import { awaitCapture } from '../follow/await-capture.ts';
import { conclude } from '../follow/conclude.ts';
import type { Session } from '../session.ts';

/** Whether to wait for the results, and how long. */
export interface AnalyzeOptions {
  readonly wait: boolean;
  readonly timeoutMs: number;
  readonly analysis?: AnalysisChoice;
  /** Rows may be replaced by those of a run with other arguments. */
  readonly replace: boolean;
}

/** `kcorder analyze CAPTURE|NODE`: has its image analyzed again. */
export async function analyze(session: Session, target: string, options: AnalyzeOptions): Promise<number> {
  const { analysis, replace } = options;
  const captureId = await resolveId(session, target, completeImage);
  const request = { captureId, replace, ...(analysis && { analysis }) };
  const { capture } = await session.calls.analyzeCapture(request, { signal: session.terminal.interrupt });
  if (capture === undefined) throw new Fault('internal', `the collector answered without capture ${captureId}`);
  session.note(whatHappens(captureId, analysis));
  if (!options.wait) {
    session.note(`\`kcorder watch ${captureId}\` follows it, \`kcorder ps ${captureId}\` shows the processes.`);
    printCapture(session, capture);
    return exitCode.ok;
  }
  const ended = await awaitCapture(session, captureId, { timeoutMs: options.timeoutMs, known: true });
  const { exit } = await conclude(session, ended);
  for (const name of namesIn(analysis))
    session.note(`\`kcorder get rows ${captureId} --plugin ${name}\` lists its rows.`);
  return exit;
}

const namesIn = (analysis: AnalysisChoice | undefined): readonly string[] =>
  analysis === undefined || 'profile' in analysis ? [] : analysis.plugins.map(({ name }) => name);

function whatHappens(captureId: string, analysis: AnalysisChoice | undefined): string {
  const names = namesIn(analysis);
  if (names.length === 0)
    return `The image of capture ${captureId} is analyzed again; the results take the place of the earlier ones.`;
  return `Running ${names.join(', ')} on the image of capture ${captureId}; other results stay as they are.`;
}
