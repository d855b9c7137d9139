import { Fault } from '@kcorder/proto/fault.ts';
import { type Capture, CaptureSchema } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import type { GetAnalysisResponse } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { documentOf } from '../output/document.ts';
import { captureText } from '../render/captures.ts';
import type { Session } from '../session.ts';

const pageSize = 500;

/** Prints one capture with its details, and what its analysis used where that is known. */
export function printCapture(session: Session, capture: Capture, found?: GetAnalysisResponse): void {
  session.print({
    document: () => documentOf(CaptureSchema, capture),
    table: (look) => captureText(capture, look, Date.now(), found),
  });
}

/** One capture by its id. */
export async function getCapture(session: Session, captureId: string): Promise<Capture> {
  const { capture } = await session.calls.getCapture({ captureId }, { signal: session.terminal.interrupt });
  if (capture === undefined) throw new Fault('internal', `the collector answered without capture ${captureId}`);
  return capture;
}

/** All captures of a node, or of every node for an empty name; newest first, page by page. */
export async function* listCaptures(session: Session, nodeName: string): AsyncGenerator<Capture, void, undefined> {
  let pageToken = '';
  do {
    const page = await session.calls.listCaptures(
      { nodeName, pageSize, pageToken },
      { signal: session.terminal.interrupt },
    );
    yield* page.captures;
    if (page.nextPageToken === pageToken) return;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}
