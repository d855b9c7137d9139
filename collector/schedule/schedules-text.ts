import * as v from 'valibot';
import type { ScheduleSpec } from '../journal/schedule-journal.ts';
import { check, exactly, isObject, type Problem } from '../problems.ts';
import { type Span, scheduleSchema } from './spec.ts';

const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000 };

/** A time such as "1h30m", in ms; undefined for what is none. */
export function durationMs(text: string): number | undefined {
  if (text === '0') return 0;
  const parts =
    /^(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?$/
      .exec(text)
      ?.slice(1)
      .filter((part) => part !== undefined) ?? [];
  if (parts.length === 0) return undefined;
  return parts.reduce((sum, part) => sum + Number(part.slice(0, -1)) * (unitMs[part.slice(-1)] ?? 0), 0);
}

const isDuration = (value: unknown): boolean => typeof value === 'string' && durationMs(value) !== undefined;
const duration = (span: Span) =>
  v.pipe(
    v.custom<string>(isDuration, 'is not a time such as "90s", "5m" or "1h30m"'),
    v.transform((text) => durationMs(text) ?? 0),
    span,
  );

const entrySchema = (inCluster: boolean) =>
  v.pipe(
    scheduleSchema(inCluster, duration),
    v.transform(
      ({ jitter: jitterMs = 0, startingDeadline: startingDeadlineMs, retention, analysis, ...same }): ScheduleSpec => ({
        ...same,
        ...(analysis === undefined ? {} : { analysis }),
        jitterMs,
        ...(startingDeadlineMs === undefined ? {} : { startingDeadlineMs }),
        retention: {
          keepLast: retention.keepLast,
          ...(retention.ttl === undefined ? {} : { ttlMs: retention.ttl }),
        },
      }),
    ),
  );

/** The schedules of a file, {"schedules": […]}, or all that is wrong with them. Unknown keys are wrong. */
export function readSchedules(
  text: string,
  inCluster: boolean,
): { readonly kind: 'good'; readonly specs: ScheduleSpec[] } | { readonly kind: 'bad'; readonly problems: Problem[] } {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    return { kind: 'bad', problems: [{ place: 'the file', what: `is no JSON: ${(error as Error).message}` }] };
  }
  if (!isObject(root) || !Array.isArray(root.schedules))
    return { kind: 'bad', problems: [{ place: 'the file', what: 'is not {"schedules": [ … ]}' }] };
  const file = check(exactly({ schedules: v.array(v.unknown()) }), root);
  const problems = file.kind === 'bad' ? file.problems : [];
  const schema = entrySchema(inCluster);
  const places = new Map<unknown, number>();
  const specs = root.schedules.flatMap((entry: unknown, index) => {
    const here = `schedules[${index}]`;
    if (!isObject(entry)) problems.push({ place: here, what: 'is not an object' });
    const fields = isObject(entry) ? entry : {};
    const checked = check(schema, fields);
    if (checked.kind === 'bad')
      problems.push(...checked.problems.map(({ place, what }) => ({ place: `${here}.${place}`, what })));
    const twin = places.get(fields.name);
    if (twin !== undefined) problems.push({ place: `${here}.name`, what: `is that of schedules[${twin}] too` });
    if (typeof fields.name === 'string') places.set(fields.name, index);
    return checked.kind === 'good' ? [checked.value] : [];
  });
  return problems.length === 0 ? { kind: 'good', specs } : { kind: 'bad', problems };
}
