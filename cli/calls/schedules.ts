import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import { type Schedule, ScheduleSchema } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { documentOf } from '../output/document.ts';
import { momentOf, utcText } from '../output/figures.ts';
import { scheduleText } from '../render/schedules.ts';
import type { Session } from '../session.ts';

/** Prints one schedule. */
export function printSchedule(session: Session, schedule: Schedule): void {
  session.print({
    document: () => documentOf(ScheduleSchema, schedule),
    table: (look) => scheduleText(schedule, look, Date.now()),
  });
}

/** The schedule of an answer that must have one. */
export function answered(schedule: Schedule | undefined, name: string): Schedule {
  if (schedule !== undefined) return schedule;
  throw new Fault('internal', `the collector answered without schedule ${name}. Report it`);
}

/** When the next tick is, as the end of a sentence. */
export function nextTickText(tick: Timestamp | undefined): string {
  return tick === undefined ? 'It has no tick to come.' : `Its next tick is at ${utcText(momentOf(tick))} UTC.`;
}
