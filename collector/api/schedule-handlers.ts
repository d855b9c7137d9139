import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { CallContext, Handlers } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { ScheduleService } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { Paces } from '../identity/pace.ts';
import type { StoredSchedule } from '../journal/schedule-journal.ts';
import type { Schedules } from '../schedule/schedules.ts';
import { readSpec } from './analysis-spec.ts';
import { doorLimits } from './door/limits.ts';
import { callerOf, type Gate } from './gate.ts';
import { actorOf, payerOf } from './identity.ts';
import { presentRun, presentSchedule, specOf } from './present-schedule.ts';

/** The handlers of the schedule service. They know nothing of their transport but the context. */
export type ScheduleHandlers = Handlers<typeof ScheduleService>;

const keyLimit = 128;
const ticksShown = 10;
const defaultRuns = 100;
const mostRuns = 1_000;

/** Makes the handlers. Every change is on the audit log before it is done. */
export function scheduleHandlers(
  schedules: Schedules,
  gate: Pick<Gate, 'admitToPods' | 'admitToUnmask'>,
): ScheduleHandlers {
  const present = (schedule: StoredSchedule) => {
    const [nextTickMs] = schedules.nextTicks(schedule, 1);
    return presentSchedule(schedule, nextTickMs, schedules.newest(schedule.spec.name));
  };
  const triggers = new Paces(doorLimits.triggersOfIdentity.burst, doorLimits.triggersOfIdentity.everyMs);
  return {
    createSchedule: async ({ spec }, context) => {
      const analysis = await readSpec(spec?.analysis, () => gate.admitToUnmask(context));
      const wanted = specOf(spec, analysis);
      const { podNamespaces, podLabels } = wanted.target;
      // Its runs tell on which nodes such pods are.
      const namespaces = podNamespaces.length > 0 || podLabels === '' ? podNamespaces : [''];
      for (const namespace of new Set(namespaces)) await gate.admitToPods(context, namespace);
      return { schedule: present(schedules.create(wanted, actor(context))) };
    },
    getSchedule: async ({ name }) => {
      const schedule = schedules.get(name);
      return {
        schedule: present(schedule),
        nextTicks: schedules.nextTicks(schedule, ticksShown).map((tick) => timestampFromMs(tick)),
      };
    },
    listSchedules: async () => ({ schedules: schedules.list().map(present) }),
    pauseSchedule: async ({ name }, context) => ({ schedule: present(schedules.pause(name, actor(context))) }),
    resumeSchedule: async ({ name }, context) => ({ schedule: present(schedules.resume(name, actor(context))) }),
    triggerSchedule: async ({ name, idempotencyKey }, context) => {
      if (idempotencyKey === '' || idempotencyKey.length > keyLimit)
        throw new Fault('invalid_argument', `an idempotency_key of 1 to ${keyLimit} characters is required`);
      paceTrigger(triggers, payer(context));
      const runs = await schedules.trigger(name, idempotencyKey, actor(context));
      return { runs: runs.map(presentRun) };
    },
    deleteSchedule: async ({ name }, context) => {
      schedules.remove(name, actor(context));
      return {};
    },
    listRuns: async ({ schedule, nodeName, limit }) => {
      if (limit > mostRuns) throw new Fault('invalid_argument', `limit ${limit} is over ${mostRuns}`);
      const runs = schedules.runs({
        ...(schedule === '' ? {} : { schedule }),
        ...(nodeName === '' ? {} : { nodeName }),
        limit: limit === 0 ? defaultRuns : limit,
      });
      return { runs: runs.map(presentRun) };
    },
  };
}

const actor = (context: CallContext): string => actorOf(callerOf(context));
const payer = (context: CallContext): string => payerOf(callerOf(context));

function paceTrigger(triggers: Paces, who: string): void {
  const retryAfterMs = triggers.take(who);
  if (retryAfterMs === undefined) return;
  const { burst, everyMs } = doorLimits.triggersOfIdentity;
  throw new Fault(
    'resource_exhausted',
    `the schedule was not triggered: ${who} triggered more than ${burst} rounds in a row, and one per ${everyMs / 1_000} s beyond. Retry in ${retryAfterMs} ms`,
    { retryAfterMs },
  );
}
