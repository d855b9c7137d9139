import { randomUUID } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  RunState,
  type TriggerScheduleResponse,
  TriggerScheduleResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { mayHaveArrived } from '../calls/order.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { runsTable } from '../render/runs.ts';
import type { Session } from '../session.ts';

/** A round over many nodes takes the collector a while. */
const deadlineMs = 60_000;

/** `kcorder schedule trigger NAME`: one round now. Fails when no node is captured by it. */
export async function scheduleTrigger(session: Session, name: string, givenKey: string | undefined): Promise<number> {
  const response = await trigger(session, name, givenKey ?? randomUUID());
  const { runs } = response;
  session.print({
    document: () => documentOf(TriggerScheduleResponseSchema, response),
    table: (look) => (runs.length === 0 ? '' : runsTable(runs, look, false)),
  });
  const begun = runs.filter(({ state }) => isBegun(state)).length;
  if (begun === 0) {
    session.warn(`no node is captured: ${runs.length === 0 ? `schedule ${name} fits none` : 'the table says why'}`);
    return exitCode.failure;
  }
  session.note(`${begun} of ${runs.length} begun. \`kcorder schedule runs ${name}\` shows how they stand.`);
  return exitCode.ok;
}

async function trigger(session: Session, name: string, idempotencyKey: string): Promise<TriggerScheduleResponse> {
  try {
    return await session.schedules.triggerSchedule(
      { name, idempotencyKey },
      { signal: session.terminal.interrupt, deadlineMs },
    );
  } catch (error) {
    const fault = Fault.from(error);
    if (mayHaveArrived(fault)) {
      session.note(
        `Whether a round of schedule ${name} began is not known. Repeat with --idempotency-key ${idempotencyKey}: it is not made twice.`,
      );
    }
    throw fault;
  }
}

/** Of a repeated key they may have ended meanwhile. */
function isBegun(state: RunState): boolean {
  return state !== RunState.SKIPPED && state !== RunState.MISSED;
}
