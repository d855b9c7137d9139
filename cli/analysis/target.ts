import { Fault } from '@kcorder/proto/fault.ts';
import { AnalysisState, type Capture } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { getCapture, listCaptures } from '../calls/captures.ts';
import { isDeleted } from '../render/storage.ts';
import type { Session } from '../session.ts';

/** The capture that a word on the command line means: its id, or a node's name for the node's newest analysed capture that is not deleted. */
export async function resolveTarget(session: Session, target: string): Promise<Capture> {
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
