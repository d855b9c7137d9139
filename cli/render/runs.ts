import type { Run } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { momentOf, utcText } from '../output/figures.ts';
import { type Column, type Look, type Row, tableOf } from '../output/grid.ts';
import { runCell } from './schedule-words.ts';

const tick: Column = { title: 'TICK (UTC)' };
const columns: readonly Column[] = [
  { title: 'NODE' },
  { title: 'STATE' },
  { title: 'REASON' },
  { title: 'CAPTURE' },
  { title: 'DETAIL' },
];

/** Runs, one a line; the schedule is named where there may be several. */
export function runsTable(runs: readonly Run[], look: Look, severalSchedules: boolean): string {
  const titles = severalSchedules ? [tick, { title: 'SCHEDULE' }, ...columns] : [tick, ...columns];
  return tableOf(
    titles,
    runs.map((run) => rowOf(run, severalSchedules)),
    look,
  );
}

function rowOf(run: Run, severalSchedules: boolean): Row {
  return [
    utcText(momentOf(run.tickAt)),
    ...(severalSchedules ? [run.schedule || '-'] : []),
    run.nodeName || '-',
    runCell(run.state),
    run.reason || '-',
    run.captureId || '-',
    detailOf(run) || '-',
  ];
}

function detailOf({ triggered, ticks, detail }: Run): string {
  const parts = [triggered ? 'by hand' : '', ticks > 1 ? `${ticks} ticks, this is the last of them` : '', detail];
  return parts.filter((part) => part !== '').join('; ');
}
