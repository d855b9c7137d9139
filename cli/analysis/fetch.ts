import type { GetAnalysisResponse } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { Session } from '../session.ts';

/** A long list of processes takes the collector a while. */
const deadlineMs = 60_000;

/** The analysis of a capture, with the rows of some plugins. */
export function fetchAnalysis(
  session: Session,
  captureId: string,
  rowPlugins: string[] = [],
): Promise<GetAnalysisResponse> {
  return session.calls.getAnalysis({ captureId, rowPlugins }, { signal: session.terminal.interrupt, deadlineMs });
}
