import {
  AnalysisState,
  AnalysisStateSchema,
  type AnalysisStatus,
  type Capture,
  type Outcome,
  OutcomeKind,
  OutcomeKindSchema,
  Phase,
  PhaseSchema,
} from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { bytesText } from '../output/figures.ts';
import { enumWord } from './enum-word.ts';

/** How much memory of the node is not in the image, in brief: `8.0 GiB left out`; empty when none is known of. */
export function leftOutBrief({ leftOutMemory }: Capture): string {
  const bytes = leftOutMemory.reduce((sum, each) => sum + each.bytes, 0n);
  return bytes === 0n ? '' : `${bytesText(bytes)} left out`;
}

/** The same in a sentence, by what added the memory. */
export function leftOutText(capture: Capture): string {
  const kinds = capture.leftOutMemory.map(({ kind, bytes }) => `${kind} ${bytesText(bytes)}`).join(', ');
  return kinds === ''
    ? ''
    : `not in the image: memory that the kernel uses (${kinds}). AVML acquires only System RAM at the top level of /proc/iomem`;
}

/** The phase in one word. */
export function phaseWord(phase: Phase): string {
  return enumWord(PhaseSchema, phase);
}

/** What a capture does that is ordered and has not begun. */
export const waitingText = 'waiting for a free slot (so many captures run at once)';

/** The outcome in one word, in capitals when it is not good; a dash while there is none. */
export function outcomeWord(outcome: Outcome | undefined): string {
  if (outcome === undefined) return '-';
  const word = enumWord(OutcomeKindSchema, outcome.kind);
  return outcome.kind === OutcomeKind.PARTIAL || outcome.kind === OutcomeKind.FAILED ? word.toUpperCase() : word;
}

/** The state of the analysis in one word; a dash while there is none. */
export function analysisWord(status: AnalysisStatus | undefined): string {
  if (status === undefined || status.state === AnalysisState.UNSPECIFIED) return '-';
  const word = enumWord(AnalysisStateSchema, status.state);
  return status.state === AnalysisState.FAILED ? word.toUpperCase() : word;
}

/** The same, where earlier results are there although plugins could not be added to them: `done (1 FAILED)`. */
export function resultsWord(status: AnalysisStatus | undefined): string {
  if (status?.resultsKept !== true) return analysisWord(status);
  const word = status.reason === 'canceled' ? 'canceled' : 'FAILED';
  return `done (${status.spec?.plugins.length ?? 0} ${word})`;
}

/** Reason and detail as far as they are known: `acquirer_died: AVML ended …`, `canceled by alice`; empty without both. */
export function because(ending: { readonly reason: string; readonly detail: string } | undefined): string {
  const { reason = '', detail = '' } = ending ?? {};
  if (detail.startsWith(reason)) return detail;
  return [reason, detail].filter((part) => part !== '').join(': ');
}

/** The outcome and why: `PARTIAL, network_stall: …`, `canceled by alice`. */
export function outcomeText(outcome: Outcome | undefined): string {
  const [word, why] = [outcomeWord(outcome), because(outcome)];
  if (why.startsWith(word)) return why;
  return why === '' ? word : `${word}, ${why}`;
}

/** Whether a capture and its analysis have ended; one that is analyzed again has not. */
export function hasEnded({ phase, analysis }: Capture): boolean {
  return phase === Phase.DONE && !isUnderWay(analysis);
}

/** Whether an analysis waits or runs. */
function isUnderWay(analysis: AnalysisStatus | undefined): boolean {
  return analysis?.state === AnalysisState.PENDING || analysis?.state === AnalysisState.RUNNING;
}

/** Whether the image of a capture is only a part. */
export function isPartial(capture: Capture): boolean {
  return capture.outcome?.kind === OutcomeKind.PARTIAL;
}

/** Whether a capture ended with its whole image. */
export function isComplete(capture: Capture): boolean {
  return capture.outcome?.kind === OutcomeKind.COMPLETE;
}

/** Whether the analysis of a capture failed for want of symbols. */
export function lacksSymbols({ analysis }: Capture): boolean {
  return analysis?.state === AnalysisState.FAILED && analysis.reason.startsWith('symbols_');
}

/** Where a person learns more of the symbols that are missing. */
export function whereSymbols({ nodeName }: Capture): string {
  return `\`kcorder symbols get ${nodeName}\` shows what each source of symbols had, and what to do`;
}
