import type { GetAnalysisResponse } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { inTurn } from '../follow/pause.ts';
import type { Session } from '../session.ts';

/** A long list of processes takes the collector a while. */
const deadlineMs = 60_000;

/** The analysis of a capture, with the rows of some plugins. */
export function fetchAnalysis(
  session: Session,
  captureId: string,
  { rowPlugins = [], unmask = false }: { readonly rowPlugins?: string[]; readonly unmask?: boolean } = {},
): Promise<GetAnalysisResponse> {
  const signal = session.terminal.interrupt;
  return inTurn(() => session.calls.getAnalysis({ captureId, rowPlugins, unmask }, { signal, deadlineMs }), signal);
}
