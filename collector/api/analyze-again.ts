import { Fault } from '@kcorder/proto/fault.ts';
import { readAddable, replacedRows } from '../analysis/addition.ts';
import type { AnalysisSpec, PluginSpec } from '../capture/capture.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import type { StorageRecord } from '../store/storage-record.ts';
import { evidenceDeleted } from '../store/storage-record.ts';

/** What it takes to have a capture analysed again. */
export interface AnalyzeDeps {
  readonly journal: CaptureJournal;
  readonly storage: { get(captureId: string): StorageRecord | undefined };
  readonly again: Reanalyses;
  readonly evidence: Pick<EvidenceDirectory, 'pathOf'>;
}

/** What is to run, and who wants it. */
export interface AnalyzeWish {
  readonly actor: string;
  /** Undefined: the default profile. */
  readonly spec: AnalysisSpec | undefined;
  /** Rows may be replaced by those of a run with other arguments. */
  readonly replace: boolean;
}

/**
 * Has the image of an ended capture analysed again; a wish that waits already stays the only one.
 * Throws results_exist for rows that it would replace unasked, capture_unknown, capture_running, evidence_missing, evidence_deleted, invalid_argument for an image that is not complete.
 */
export async function analyzeAgain(
  { journal, storage, again, evidence }: AnalyzeDeps,
  captureId: string,
  { actor, spec, replace }: AnalyzeWish,
): Promise<JournaledCapture> {
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
  // One that waits or runs already is answered as that.
  const isIdle = (again.get(captureId)?.kind ?? 'ended') === 'ended';
  if (isIdle && !replace && spec !== undefined && 'plugins' in spec)
    await checkReplaced(captureId, `${evidence.pathOf(captureId)}/analysis`, spec.plugins);
  again.ask(captureId, actor, spec);
  return capture;
}

/** A damaged report is told when the analysis runs. */
async function checkReplaced(captureId: string, outputDir: string, plugins: readonly PluginSpec[]): Promise<void> {
  const earlier = await readAddable(outputDir).catch(() => undefined);
  const lost = earlier === undefined ? [] : replacedRows(earlier, plugins);
  if (lost.length === 0) return;
  throw new Fault(
    'results_exist',
    `nothing was run on capture ${captureId}: it has ${lost.join('; ')}, and a run with other arguments would replace them. Repeat with --replace if they may go; 'kcorder download ${captureId} --results' keeps a copy`,
  );
}
