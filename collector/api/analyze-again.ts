import { Fault } from '@kcorder/proto/fault.ts';
import type { AnalysisSpec } from '../capture/capture.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import type { StorageRecord } from '../store/storage-record.ts';
import { evidenceDeleted } from '../store/storage-record.ts';

/** What it takes to have a capture analysed again. */
export interface AnalyzeDeps {
  readonly journal: CaptureJournal;
  readonly storage: { get(captureId: string): StorageRecord | undefined };
  readonly again: Reanalyses;
}

/**
 * Has the image of an ended capture analysed again; a wish that waits already stays the only one. Without a spec it is for the default profile.
 * Throws capture_unknown, capture_running, evidence_missing, evidence_deleted, invalid_argument for an image that is not complete.
 */
export function analyzeAgain(
  { journal, storage, again }: AnalyzeDeps,
  captureId: string,
  actor: string,
  spec?: AnalysisSpec,
): JournaledCapture {
  const capture = journal.get(captureId);
  const { state } = capture;
  if (state.phase !== 'done')
    throw new Fault('capture_running', `capture ${captureId} is ${state.phase}: wait until its own analysis has ended`);
  if (state.evidence === undefined) throw new Fault('evidence_missing', `capture ${captureId} ended without an image`);
  const place = storage.get(captureId)?.place;
  if (place?.kind === 'deleted') throw evidenceDeleted(captureId, place);
  if (state.outcome.kind !== 'complete') {
    const message = `the image of capture ${captureId} is not complete (${state.outcome.kind}), and an analysis of it could hide what is missing: download it and look at it yourself`;
    throw new Fault('invalid_argument', message);
  }
  again.ask(captureId, actor, spec);
  return capture;
}
