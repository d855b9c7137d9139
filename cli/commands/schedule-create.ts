import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { ScheduleSpecSchema } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import type { AnalysisChoice } from '../calls/analysis-choice.ts';
import { answered, nextTickText, printSchedule } from '../calls/schedules.ts';
import { exitCode } from '../exit-code.ts';
import type { Session } from '../session.ts';

/** What `kcorder schedule create` is told besides the name; spans in ms. */
export interface ScheduleOptions {
  readonly cron: string;
  readonly timeZone?: string;
  readonly node?: readonly string[];
  readonly nodeLabels?: string;
  readonly podNamespace?: readonly string[];
  readonly podLabels?: string;
  readonly analyze: boolean;
  readonly jitter?: number;
  readonly startingDeadline?: number;
  readonly maxConcurrent?: number;
  readonly ignorePressure?: true;
  readonly keepLast?: number;
  readonly ttl?: number;
  readonly reason?: string;
  readonly analysis?: AnalysisChoice;
}

/** `kcorder schedule create NAME --cron …`: has captures made by the clock. */
export async function scheduleCreate(session: Session, name: string, spec: ScheduleOptions): Promise<number> {
  const answer = await session.schedules.createSchedule(
    { spec: specOf(name, spec) },
    { signal: session.terminal.interrupt },
  );
  const schedule = answered(answer.schedule, name);
  session.note(`Schedule ${name} is made. ${nextTickText(schedule.nextTickAt)}`);
  if (spec.keepLast === undefined && spec.ttl === undefined)
    session.note('Nothing deletes its captures: --keep-last and --ttl say what may go.');
  printSchedule(session, schedule);
  return exitCode.ok;
}

function specOf(name: string, spec: ScheduleOptions): MessageInitShape<typeof ScheduleSpecSchema> {
  const { jitter, startingDeadline, ttl } = spec;
  return {
    name,
    cron: spec.cron,
    timeZone: spec.timeZone ?? '',
    target: {
      nodeNames: [...(spec.node ?? [])],
      nodeLabels: spec.nodeLabels ?? '',
      podNamespaces: [...(spec.podNamespace ?? [])],
      podLabels: spec.podLabels ?? '',
    },
    analyze: spec.analyze,
    ...(spec.analysis && { analysis: spec.analysis }),
    ...(jitter === undefined ? {} : { jitter: durationFromMs(jitter) }),
    ...(startingDeadline === undefined ? {} : { startingDeadline: durationFromMs(startingDeadline) }),
    maxConcurrent: spec.maxConcurrent ?? 0,
    ignorePressure: spec.ignorePressure === true,
    retention: { keepLast: spec.keepLast ?? 0, ...(ttl === undefined ? {} : { ttl: durationFromMs(ttl) }) },
    reason: spec.reason ?? '',
  };
}
