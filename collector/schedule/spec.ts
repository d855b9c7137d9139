import type { ScheduleSpec } from '../journal/schedule-journal.ts';
import { selectorProblem } from './selector.ts';
import { cronProblem, timeZoneProblem } from './ticks.ts';

/** Something wrong, and where: "cron", "target.nodeLabels". */
export interface Problem {
  readonly place: string;
  readonly what: string;
}

const dayMs = 24 * 3_600_000;
const longestJitterMs = dayMs;
const longestDeadlineMs = 7 * dayMs;
const mostNames = 1_000;
const largestCount = 1_000_000;
const objectName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** All that is wrong with a schedule at once; nothing when it can be used. Outside of a cluster only node names can be looked for. */
export function problemsOf(spec: ScheduleSpec, inCluster: boolean): Problem[] {
  const problems: Problem[] = [];
  const complain = (place: string, what: string | undefined): void => {
    if (what !== undefined) problems.push({ place, what });
  };
  const whole = (place: string, value: number, least: number, most: number, bounds: string): void =>
    complain(place, Number.isInteger(value) && value >= least && value <= most ? undefined : `is not ${bounds}`);
  const { name, cron, timeZone, target, retention, reason } = spec;
  complain(
    'name',
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)
      ? undefined
      : 'is not 1 to 63 lower-case letters, digits and dashes, with no dash at its ends',
  );
  complain('cron', cronProblem(cron));
  complain('timeZone', timeZoneProblem(timeZone));
  for (const field of ['nodeNames', 'podNamespaces'] as const) {
    const names = target[field];
    if (names.length > mostNames) complain(`target.${field}`, `holds more than ${mostNames} names`);
    const wrong = names.find((each) => !objectName.test(each));
    if (wrong !== undefined) complain(`target.${field}`, `holds "${wrong.slice(0, 80)}", which is no name`);
  }
  for (const field of ['nodeLabels', 'podLabels'] as const) complain(`target.${field}`, selectorProblem(target[field]));
  if (!inCluster) {
    for (const field of ['nodeLabels', 'podNamespaces', 'podLabels'] as const) {
      if (target[field].length > 0)
        complain(
          `target.${field}`,
          'cannot be looked for: this collector knows no cluster, so name nodes in nodeNames',
        );
    }
  }
  whole('jitter', spec.jitterMs, 0, longestJitterMs, 'between 0 and 24 h');
  if (spec.startingDeadlineMs !== undefined)
    whole('startingDeadline', spec.startingDeadlineMs, 1_000, longestDeadlineMs, 'between 1 s and 168 h');
  whole('maxConcurrent', spec.maxConcurrent, 0, largestCount, 'a whole number of at least 0');
  whole('retention.keepLast', retention.keepLast, 0, largestCount, 'a whole number of at least 0');
  if (retention.ttlMs !== undefined)
    whole('retention.ttl', retention.ttlMs, 60_000, 100 * 366 * dayMs, 'between 1 m and 100 years');
  complain('reason', reason.length <= 1024 ? undefined : 'is longer than 1024 characters');
  return problems;
}

/** Problems in one sentence, each with its place. */
export const sentenceOf = (problems: readonly Problem[]): string =>
  problems.map(({ place, what }) => `${place} ${what}`).join('; ');

export const sameSpec = (a: ScheduleSpec, b: ScheduleSpec): boolean =>
  JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}
