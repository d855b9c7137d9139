import type { JsonValue } from '@bufbuild/protobuf';
import { AnalysisState, type Capture, CaptureSchema, OutcomeKind } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import {
  type GetAnalysisResponse,
  GetAnalysisResponseSchema,
  type PodReference,
} from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { fetchAnalysis } from '../analysis/fetch.ts';
import { remarkOnPlugins, remarkOnPods, socketsKnown } from '../analysis/remarks.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { bytesText } from '../output/figures.ts';
import {
  analysisWord,
  because,
  isComplete,
  isPartial,
  lacksSymbols,
  leftOutText,
  outcomeWord,
  whereSymbols,
} from '../render/capture-words.ts';
import { processesText } from '../render/processes.ts';
import { isDeleted, locationOf, tombstoneText } from '../render/storage.ts';
import { usedText } from '../render/symbols-words.ts';
import type { Session } from '../session.ts';

/** How a capture ended, as scripts see it. */
export interface Conclusion {
  readonly exit: number;
  /** The analysis as a document; null without one. */
  analysisDocument(): JsonValue;
}

/** Prints how a capture ended: the process table, those pods first that it is about, where the evidence lies, and whatever is not as it should be. */
export async function conclude(
  session: Session,
  capture: Capture,
  podsFirst: readonly PodReference[] = [],
): Promise<Conclusion> {
  const analysis =
    capture.analysis?.state === AnalysisState.DONE ? await fetchAnalysis(session, capture.id) : undefined;
  const analysisDocument = (): JsonValue =>
    analysis === undefined ? null : documentOf(GetAnalysisResponseSchema, withoutCapture(analysis));
  session.print({
    document: () => ({ capture: documentOf(CaptureSchema, capture), analysis: analysisDocument() }),
    table: (look) =>
      analysis === undefined || analysis.processes.length === 0
        ? ''
        : processesText(analysis, { kernelThreads: false, socketsKnown: socketsKnown(analysis), podsFirst }, look),
  });
  const analyzed =
    analysis === undefined ? remarkOnMissing(session, capture) : remarkOnPlugins(session, analysis, 'all');
  if (analysis !== undefined) remarkOnPods(session, analysis, podsFirst);
  if (analysis?.symbols !== undefined) session.note(`analyzed with symbols from ${usedText(analysis.symbols)}`);
  remarkOnEvidence(session, capture);
  return { exit: exitOf(capture, analyzed), analysisDocument };
}

function exitOf(capture: Capture, analyzed: boolean): number {
  if (isPartial(capture)) return exitCode.partial;
  return isComplete(capture) && analyzed ? exitCode.ok : exitCode.failure;
}

function withoutCapture(analysis: GetAnalysisResponse): GetAnalysisResponse {
  return { ...analysis, capture: undefined };
}

function remarkOnMissing(session: Session, capture: Capture): boolean {
  if (capture.outcome?.kind === OutcomeKind.FAILED || capture.outcome?.kind === OutcomeKind.CANCELED) return false;
  const why = because(capture.analysis) || 'no reason given';
  const isAddition = (capture.analysis?.spec?.plugins.length ?? 0) > 0;
  session.warn(
    `${isAddition ? 'no new rows' : 'no process list'}: the analysis of capture ${capture.id} is ${analysisWord(capture.analysis)}: ${why}`,
  );
  if (lacksSymbols(capture)) session.note(whereSymbols(capture));
  return false;
}

function remarkOnEvidence(session: Session, capture: Capture): void {
  const { id, outcome, storage } = capture;
  if (isDeleted(storage)) {
    session.warn(`the evidence of capture ${id} is deleted: ${tombstoneText(storage)}`);
    return;
  }
  const size = bytesText(capture.durableBytes);
  const location = locationOf(storage, capture.evidencePath);
  const place = location === '' ? '' : ` at ${location}${location.startsWith('/') ? ' on the collector' : ''}`;
  const get = `\`kcorder download ${id}\` gets it`;
  if (outcome?.kind === OutcomeKind.COMPLETE) {
    session.note(`evidence complete: ${size}${place}, SHA-256 of the image ${capture.sha256}; ${get}`);
    if (capture.leftOutMemory.length > 0) session.warn(leftOutText(capture));
  } else if (outcome?.kind === OutcomeKind.PARTIAL) {
    session.warn(`PARTIAL evidence: ${because(outcome) || 'no reason given'}`);
    session.note(`what was acquired is kept: ${size}${place}, SHA-256 of the image ${capture.sha256}; ${get}`);
  } else {
    const end =
      outcome?.kind === OutcomeKind.CANCELED
        ? `was ${because(outcome) || 'canceled'}`
        : `ended ${outcomeWord(outcome)}: ${because(outcome) || 'no reason given'}`;
    session.warn(`capture ${id} of ${capture.nodeName} ${end}`);
    if (location !== '') session.note(`what was acquired is kept: ${size}${place}; ${get}`);
  }
}
