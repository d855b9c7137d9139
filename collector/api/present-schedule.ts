import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type RunSchema,
  RunState,
  type ScheduleSchema,
  type ScheduleSpecSchema,
  type ScheduleSpec as SpecMessage,
} from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import type { AnalysisSpec } from '../capture/capture.ts';
import type { RunState as JournaledState, Run } from '../journal/run-journal.ts';
import type { ScheduleSpec, StoredSchedule } from '../journal/schedule-journal.ts';
import { presentSpec } from './analysis-spec.ts';

const states: Record<JournaledState, RunState> = {
  waiting: RunState.WAITING,
  running: RunState.RUNNING,
  succeeded: RunState.SUCCEEDED,
  failed: RunState.FAILED,
  skipped: RunState.SKIPPED,
  missed: RunState.MISSED,
};

const time = (iso: string) => timestampFromDate(new Date(iso));

/** What somebody asks for, not checked yet. */
export function specOf(message: SpecMessage | undefined, analysis: AnalysisSpec | undefined): ScheduleSpec {
  const { target, retention, jitter, startingDeadline } = message ?? {};
  return {
    name: message?.name ?? '',
    cron: message?.cron ?? '',
    timeZone: message?.timeZone ?? '',
    target: {
      nodeNames: target?.nodeNames ?? [],
      nodeLabels: target?.nodeLabels ?? '',
      podNamespaces: target?.podNamespaces ?? [],
      podLabels: target?.podLabels ?? '',
    },
    analyze: message?.analyze ?? false,
    ...(analysis && { analysis }),
    jitterMs: jitter === undefined ? 0 : durationMs(jitter),
    ...(startingDeadline === undefined ? {} : { startingDeadlineMs: durationMs(startingDeadline) }),
    maxConcurrent: message?.maxConcurrent ?? 0,
    ignorePressure: message?.ignorePressure ?? false,
    retention: {
      keepLast: retention?.keepLast ?? 0,
      ...(retention?.ttl === undefined ? {} : { ttlMs: durationMs(retention.ttl) }),
    },
    reason: message?.reason ?? '',
  };
}

function presentScheduleSpec(spec: ScheduleSpec): MessageInitShape<typeof ScheduleSpecSchema> {
  const { name, cron, timeZone, target, analyze, maxConcurrent, ignorePressure, retention, reason } = spec;
  const { ttlMs, keepLast } = retention;
  return {
    ...{ name, cron, timeZone, analyze, maxConcurrent, ignorePressure, reason },
    ...(spec.analysis && { analysis: presentSpec(spec.analysis) }),
    target: { ...target, nodeNames: [...target.nodeNames], podNamespaces: [...target.podNamespaces] },
    jitter: durationFromMs(spec.jitterMs),
    ...(spec.startingDeadlineMs === undefined ? {} : { startingDeadline: durationFromMs(spec.startingDeadlineMs) }),
    retention: { keepLast, ...(ttlMs === undefined ? {} : { ttl: durationFromMs(ttlMs) }) },
  };
}

/** A schedule as operators see it. */
export function presentSchedule(
  { spec, configured, createdAt, createdBy, pausedBy }: StoredSchedule,
  nextTickMs: number | undefined,
  newest: { readonly tick: string; readonly counts: ReadonlyMap<JournaledState, number> } | undefined,
): MessageInitShape<typeof ScheduleSchema> {
  return {
    spec: presentScheduleSpec(spec),
    configured,
    createdAt: time(createdAt),
    createdBy,
    pausedBy,
    ...(nextTickMs === undefined ? {} : { nextTickAt: timestampFromMs(nextTickMs) }),
    ...(newest === undefined ? {} : { lastTickAt: time(newest.tick) }),
    lastRuns: [...(newest?.counts ?? [])].map(([state, count]) => ({ state: states[state], count })),
  };
}

/** A run as operators see it. */
export function presentRun(run: Run): MessageInitShape<typeof RunSchema> {
  const { schedule, tick, nodeName, state, reason, detail, captureId, triggered, ticks } = run;
  return {
    ...{ schedule, nodeName, reason, detail, captureId, triggered, ticks },
    tickAt: time(tick),
    state: states[state],
  };
}
