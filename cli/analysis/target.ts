import { Fault } from '@kcorder/proto/fault.ts';
import { PluginState } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState, type Capture, Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { resolveCapture } from '../calls/resolve-capture.ts';
import { exitCode } from '../exit-code.ts';
import {
  analysisWord,
  because,
  isComplete,
  isPartial,
  lacksSymbols,
  leftOutText,
  whereSymbols,
} from '../render/capture-words.ts';
import { isDeleted, tombstoneText } from '../render/storage.ts';
import type { Session } from '../session.ts';
import { fetchAnalysis } from './fetch.ts';

/** Returns the capture that a word stands for, if there are results of it. Throws Fault as resolveCapture, and capture_running, evidence_missing. */
export async function resolveAnalysed(session: Session, target: string): Promise<Capture> {
  const capture = await resolveCapture(session, target, {
    has: (each) => hasResults(session, each),
    words: 'process list',
  });
  if (!(await hasResults(session, capture))) throw unanalysed(capture);
  const { analysis, id } = capture;
  if (analysis?.state !== AnalysisState.DONE) {
    const why = because(analysis);
    session.warn(
      `the newest analysis of capture ${id} is ${analysisWord(analysis)}${why === '' ? '' : `: ${why}`}; these are the results without it`,
    );
  }
  return capture;
}

/** Results stay when a plugin is added to them, also while it runs and if it fails; only the collector knows that there are any. */
async function hasResults(session: Session, capture: Capture): Promise<boolean> {
  const { analysis, id, phase } = capture;
  if (analysis?.state === AnalysisState.DONE) return true;
  if (phase !== Phase.DONE || isDeleted(capture.storage) || (analysis?.spec?.plugins.length ?? 0) === 0) return false;
  const { plugins } = await fetchAnalysis(session, id);
  return plugins.some(({ name, state }) => name === 'processes' && state === PluginState.ROWS);
}

/** Says what an image lacks, and how a command ends that has shown what is in it. */
export function endOf(session: Session, capture: Capture): number {
  if (isPartial(capture))
    session.warn(`PARTIAL image of capture ${capture.id}: ${because(capture.outcome) || 'no reason given'}`);
  if (capture.leftOutMemory.length > 0) session.warn(leftOutText(capture));
  return isPartial(capture) ? exitCode.partial : exitCode.ok;
}

function unanalysed(capture: Capture): Fault {
  const { id, analysis } = capture;
  const state = analysis?.state ?? AnalysisState.UNSPECIFIED;
  if (state === AnalysisState.PENDING || state === AnalysisState.RUNNING || state === AnalysisState.UNSPECIFIED) {
    return new Fault(
      'capture_running',
      `the analysis of capture ${id} has not ended. \`kcorder watch ${id}\` waits for it.`,
    );
  }
  const why = because(analysis) || 'no reason given';
  return new Fault(
    'evidence_missing',
    `no process list of capture ${id}: its analysis is ${analysisWord(analysis)}: ${why}; ${evidenceLeft(capture)}.${lacksSymbols(capture) ? ` ${whereSymbols(capture)}.` : ''}`,
  );
}

function evidenceLeft(capture: Capture): string {
  if (isDeleted(capture.storage)) return `its evidence is deleted: ${tombstoneText(capture.storage)}`;
  const evidence = isComplete(capture) ? 'the evidence is complete' : 'what was acquired is kept';
  return `${evidence}, \`kcorder download ${capture.id}\` gets it`;
}
