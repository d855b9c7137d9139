import { ListRunsResponseSchema } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { runsTable } from '../render/runs.ts';
import type { Session } from '../session.ts';

/** Which runs. */
export interface RunsOptions {
  readonly node?: string;
  readonly limit?: number;
}

/** `kcorder schedule runs [NAME]`: what became of each tick on each node, newest first. */
export async function scheduleRuns(session: Session, name: string | undefined, options: RunsOptions): Promise<number> {
  const { node: nodeName = '', limit = 0 } = options;
  const response = await session.schedules.listRuns(
    { schedule: name ?? '', nodeName, limit },
    { signal: session.terminal.interrupt },
  );
  const { runs } = response;
  if (runs.length === 0) {
    session.note(
      `No runs${name === undefined ? '' : ` of schedule ${name}`}${nodeName === '' ? '' : ` on node ${nodeName}`}.`,
    );
  }
  session.print({
    document: () => documentOf(ListRunsResponseSchema, response),
    table: (look) => (runs.length === 0 ? '' : runsTable(runs, look, name === undefined)),
  });
  return exitCode.ok;
}
