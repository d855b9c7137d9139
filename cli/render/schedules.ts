import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { Schedule } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { ageText, momentOf, spanText, utcText } from '../output/figures.ts';
import { type Cell, type Column, type Look, type Row, tableOf } from '../output/grid.ts';
import { type Fact, factsText } from './facts.ts';
import { countsText, doesText, isBad, makerOf, retentionText, spanOf, targetText, zoneOf } from './schedule-words.ts';

const columns: readonly Column[] = [
  { title: 'NAME' },
  { title: 'CRON' },
  { title: 'ZONE' },
  { title: 'NEXT IN', align: 'right' },
  { title: 'LAST', align: 'right' },
  { title: 'PAUSED' },
];
const wideColumns: readonly Column[] = [
  { title: 'NEXT (UTC)' },
  { title: 'LAST (UTC)' },
  { title: 'NODES' },
  { title: 'DOES' },
  { title: 'KEEPS' },
  { title: 'FROM' },
];

/** Schedules, one a line. What became of the last tick comes last. */
export function schedulesTable(schedules: readonly Schedule[], look: Look, nowMs: number): string {
  const titles = [...columns, ...(look.wide ? wideColumns : []), { title: 'LAST RUNS' }];
  return tableOf(
    titles,
    schedules.map((schedule) => rowOf(schedule, look.wide, nowMs)),
    look,
  );
}

/** One schedule: its line, all that it says, and its next ticks. */
export function scheduleText(
  schedule: Schedule,
  look: Look,
  nowMs: number,
  nextTicks: readonly Timestamp[] = [],
): string {
  const { spec } = schedule;
  const facts: Fact[] = [
    ['nodes', targetText(spec?.target)],
    ['does', doesText(spec)],
    ['reason', spec?.reason ?? ''],
    ['jitter', spec?.jitter === undefined ? '' : `${spanOf(spec.jitter)} at most`],
    ['deadline', deadlineText(schedule)],
    ['at once', spec === undefined || spec.maxConcurrent === 0 ? '' : `${spec.maxConcurrent} nodes`],
    ['pressure', spec?.ignorePressure === true ? 'nodes under pressure are captured all the same' : ''],
    ['keeps', retentionText(spec?.retention)],
    ['made', madeText(schedule)],
    ['paused', schedule.pausedBy === '' ? '' : `by ${schedule.pausedBy}`],
    ...nextTicks.map((tick): Fact => ['next', `${utcText(momentOf(tick))} UTC`]),
  ];
  return `${schedulesTable([schedule], look, nowMs)}\n${factsText(facts, look)}`;
}

function rowOf(schedule: Schedule, wide: boolean, nowMs: number): Row {
  const { spec } = schedule;
  const [nextMs, lastMs] = [momentOf(schedule.nextTickAt), momentOf(schedule.lastTickAt)];
  const more = wide
    ? [
        utcText(nextMs),
        utcText(lastMs),
        targetText(spec?.target),
        doesText(spec),
        retentionText(spec?.retention),
        makerOf(schedule),
      ]
    : [];
  return [
    spec?.name || '-',
    spec?.cron || '-',
    zoneOf(spec),
    nextMs === undefined ? '-' : spanText(nextMs - nowMs),
    ageText(lastMs, nowMs),
    schedule.pausedBy === '' ? '-' : 'yes',
    ...more,
    runsCell(schedule),
  ];
}

function runsCell({ lastRuns }: Schedule): string | Cell {
  const text = countsText(lastRuns);
  return lastRuns.some(({ state, count }) => isBad(state) && count > 0) ? { text, tone: 'bad' } : text;
}

function deadlineText({ spec }: Schedule): string {
  if (spec?.startingDeadline === undefined) return 'half of the time to the next tick, an hour at most';
  return spanOf(spec.startingDeadline);
}

function madeText(schedule: Schedule): string {
  const by = schedule.configured ? 'in the configuration' : `by ${makerOf(schedule)}`;
  return schedule.createdAt === undefined ? by : `${utcText(momentOf(schedule.createdAt))} UTC ${by}`;
}
