import {
  GetScheduleResponseSchema,
  ListRunsResponseSchema,
  ListSchedulesResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { answered } from '../calls/schedules.ts';
import { exitCode } from '../exit-code.ts';
import { documentOf } from '../output/document.ts';
import { runsTable } from '../render/runs.ts';
import { schedulesTable, scheduleText } from '../render/schedules.ts';
import type { Session } from '../session.ts';

const runsShown = 20;

/** `kcorder schedule get [NAME]`: all schedules, or one with its next ticks and what became of the last ones. */
export async function scheduleGet(session: Session, name: string | undefined): Promise<number> {
  return name === undefined ? getAll(session) : getOne(session, name);
}

async function getAll(session: Session): Promise<number> {
  const response = await session.schedules.listSchedules({}, { signal: session.terminal.interrupt });
  const { schedules } = response;
  if (schedules.length === 0) session.note('No schedules. `kcorder schedule create` makes one.');
  session.print({
    document: () => documentOf(ListSchedulesResponseSchema, response),
    table: (look) => (schedules.length === 0 ? '' : schedulesTable(schedules, look, Date.now())),
  });
  return exitCode.ok;
}

async function getOne(session: Session, name: string): Promise<number> {
  const { schedules: calls, terminal } = session;
  const response = await calls.getSchedule({ name }, { signal: terminal.interrupt });
  const schedule = answered(response.schedule, name);
  const listed = await calls.listRuns({ schedule: name, limit: runsShown }, { signal: terminal.interrupt });
  session.print({
    document: () => ({
      ...Object(documentOf(GetScheduleResponseSchema, response)),
      ...Object(documentOf(ListRunsResponseSchema, listed)),
    }),
    table: (look) => {
      const runs = listed.runs.length === 0 ? 'No tick yet.\n' : runsTable(listed.runs, look, false);
      return `${scheduleText(schedule, look, Date.now(), response.nextTicks)}\n${runs}`;
    },
  });
  if (listed.runs.length === runsShown) session.note(`\`kcorder schedule runs ${name}\` shows more of its runs.`);
  return exitCode.ok;
}
