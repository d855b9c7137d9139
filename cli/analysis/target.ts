import { Fault } from '@kcorder/proto/fault.ts';
import { AnalysisState, type Capture } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { getCapture, listCaptures } from '../calls/captures.ts';
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

/** The same, of a capture whose analysis is done. Throws capture_running and evidence_missing. */
export async function resolveAnalysed(session: Session, target: string): Promise<Capture> {
  const capture = await resolveTarget(session, target);
  if (capture.analysis?.state !== AnalysisState.DONE) throw unanalysed(capture);
  return capture;
}

/** Says what an image lacks, and how a command ends that has shown what is in it. */
export function endOf(session: Session, capture: Capture): number {
  if (isPartial(capture))
    session.warn(`PARTIAL image of capture ${capture.id}: ${because(capture.outcome) || 'no reason given'}`);
  if (capture.leftOutMemory.length > 0) session.warn(leftOutText(capture));
  return isPartial(capture) ? exitCode.partial : exitCode.ok;
}

/** The capture that a word on the command line means: its id, or a node's name for the node's newest analysed capture that is not deleted. */
async function resolveTarget(session: Session, target: string): Promise<Capture> {
  try {
    return await getCapture(session, target);
  } catch (error) {
    const fault = Fault.from(error);
    if (fault.code !== 'capture_unknown' && fault.code !== 'invalid_argument') throw fault;
  }
  let newest: Capture | undefined;
  let gone: Capture | undefined;
  for await (const capture of listCaptures(session, target)) {
    newest ??= capture;
    if (capture.analysis?.state !== AnalysisState.DONE) continue;
    if (isDeleted(capture.storage)) {
      gone ??= capture;
      continue;
    }
    if (newest !== capture)
      session.warn(`capture ${newest.id} of ${target} is newer, but has no process list; this is ${capture.id}`);
    return capture;
  }
  if (gone !== undefined) {
    throw new Fault(
      'evidence_deleted',
      `what was analysed of node ${target} is deleted, the newest of it is capture ${gone.id}. See \`kcorder get captures ${gone.id}\`.`,
    );
  }
  throw newest === undefined
    ? new Fault(
        'capture_unknown',
        `"${target}" is neither a capture nor a node with captures. See \`kcorder get captures\` and \`kcorder get nodes\`.`,
      )
    : new Fault(
        'capture_unknown',
        `no capture of node ${target} has been analysed; the newest is ${newest.id}. See \`kcorder get captures ${newest.id}\`.`,
      );
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
