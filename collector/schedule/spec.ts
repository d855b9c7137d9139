import * as v from 'valibot';
import type { ScheduleSpec } from '../journal/schedule-journal.ts';
import { check, exactly, finds, type Problem } from '../problems.ts';
import { analysisSchema } from './analysis-schema.ts';
import { selectorProblem } from './selector.ts';
import { cronProblem, timeZoneProblem } from './ticks.ts';

const dayMs = 24 * 3_600_000;
const mostNames = 1_000;
const largestCount = 1_000_000;
const objectName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

const text = v.string('is not a text');
const flag = v.optional(v.boolean('is not true or false'), false);
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((each) => typeof each === 'string');

const within = (least: number, most: number, bounds: string) =>
  v.pipe(
    v.custom<number>((value) => typeof value === 'number', 'is not a whole number'),
    v.check((value) => Number.isInteger(value) && value >= least && value <= most, `is not ${bounds}`),
  );
/** A number of ms within bounds. */
export type Span = ReturnType<typeof within>;
const count = v.optional(within(0, largestCount, 'a whole number of at least 0'), 0);

/** Outside of a cluster only node names can be looked for. */
const inClusterOnly = <T extends string | readonly string[]>(inCluster: boolean) =>
  finds<T>((value) =>
    inCluster || value.length === 0
      ? undefined
      : 'cannot be looked for: this collector knows no cluster, so name nodes in nodeNames',
  );

const names = v.pipe(
  v.custom<readonly string[]>(isTexts, 'is not a list of texts'),
  v.maxLength(mostNames, `holds more than ${mostNames} names`),
  finds((all) => {
    const wrong = all.find((each) => !objectName.test(each));
    return wrong === undefined ? undefined : `holds "${wrong.slice(0, 80)}", which is no name`;
  }),
);

/** The schema of a schedule, its times read by `time`. What is missing has a default, of no use for `name` and `cron`. */
export function scheduleSchema(inCluster: boolean, time: (span: Span) => v.GenericSchema<unknown, number>) {
  const selector = v.optional(v.pipe(text, finds(selectorProblem), inClusterOnly(inCluster)), '');
  const fields = exactly({
    name: v.optional(
      v.pipe(
        text,
        v.regex(
          /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
          'is not 1 to 63 lower-case letters, digits and dashes, with no dash at its ends',
        ),
      ),
      '',
    ),
    cron: v.optional(v.pipe(text, finds(cronProblem)), ''),
    timeZone: v.optional(v.pipe(text, finds(timeZoneProblem)), ''),
    target: v.optional(
      exactly({
        nodeNames: v.optional(names, []),
        podNamespaces: v.optional(v.pipe(names, inClusterOnly(inCluster)), []),
        nodeLabels: selector,
        podLabels: selector,
      }),
      {},
    ),
    analyze: flag,
    analysis: v.optional(analysisSchema),
    jitter: v.optional(time(within(0, dayMs, 'between 0 and 24 h'))),
    startingDeadline: v.optional(time(within(1_000, 7 * dayMs, 'between 1 s and 168 h'))),
    maxConcurrent: count,
    ignorePressure: flag,
    retention: v.optional(
      exactly({
        keepLast: count,
        ttl: v.optional(time(within(60_000, 100 * 366 * dayMs, 'between 1 m and 100 years'))),
      }),
      {},
    ),
    reason: v.optional(v.pipe(text, v.maxLength(1024, 'is longer than 1024 characters')), ''),
  });
  const isUsed = v.check<v.InferOutput<typeof fields>, string>(
    ({ analyze, analysis }) => analyze || analysis === undefined,
    'is for nothing, as analyze is false',
  );
  return v.pipe(fields, v.forward(isUsed, ['analysis']));
}

/** All that is wrong with a schedule at once; nothing when it can be used. */
export function problemsOf(spec: ScheduleSpec, inCluster: boolean): Problem[] {
  const { jitterMs: jitter, startingDeadlineMs: startingDeadline, retention, ...same } = spec;
  const { keepLast, ttlMs: ttl } = retention;
  const checked = check(
    scheduleSchema(inCluster, (span) => span),
    { ...same, jitter, startingDeadline, retention: { keepLast, ttl } },
  );
  return checked.kind === 'good' ? [] : checked.problems;
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
