import { create } from '@bufbuild/protobuf';
import { AnalysisState, type Capture } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { type GetAnalysisResponse, ListCapturesResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { fetchAnalysis } from '../analysis/fetch.ts';
import { listCaptures, printCapture } from '../calls/captures.ts';
import { resolveCapture } from '../calls/resolve-capture.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { capturesTable } from '../render/captures.ts';
import { forPeople, type Session } from '../session.ts';

/** `kcorder get captures [CAPTURE|NODE] [--node N]`: all captures, newest first, or one with its details. */
export async function getCaptures(
  session: Session,
  target: string | undefined,
  nodeName: string | undefined,
): Promise<number> {
  if (target !== undefined) {
    const capture = await resolveCapture(session, target);
    printCapture(session, capture, await analysisOf(session, capture));
    return exitCode.ok;
  }
  const captures: Capture[] = [];
  for await (const capture of listCaptures(session, nodeName ?? '')) captures.push(capture);
  if (captures.length === 0) session.note(`No captures${nodeName === undefined ? '' : ` of node ${nodeName}`}.`);
  session.print({
    document: () => documentOf(ListCapturesResponseSchema, create(ListCapturesResponseSchema, { captures })),
    table: (look) => (captures.length === 0 ? '' : capturesTable(captures, look, Date.now())),
  });
  return exitCode.ok;
}

/** Of a capture that was analyzed, where a person is to read it. That it cannot be told spoils nothing else. */
async function analysisOf(session: Session, capture: Capture): Promise<GetAnalysisResponse | undefined> {
  if (!forPeople(session) || capture.analysis?.state !== AnalysisState.DONE) return undefined;
  try {
    return await fetchAnalysis(session, capture.id);
  } catch {
    session.terminal.interrupt.throwIfAborted();
    return undefined;
  }
}
