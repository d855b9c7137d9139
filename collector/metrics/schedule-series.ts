import type { MetricQueries } from '../journal/metric-queries.ts';
import type { CaptureSeries } from './capture-series.ts';
import { replace, type Scrape, seconds } from './scrape.ts';

/** When a schedule comes again. */
export interface ScheduleTimes {
  /** In ms since 1970; undefined when it never does. */
  readonly nextAtMs: number | undefined;
  /** The longest time between two of its ticks. */
  readonly intervalMs: number | undefined;
}

/** A run that has ended, or the record of several. */
export interface EndedRun {
  readonly schedule: string;
  readonly state: string;
  readonly reason: string;
  /** How many ticks it stands for. */
  readonly ticks: number;
}

const runStates = ['waiting', 'running', 'succeeded', 'failed', 'skipped', 'missed'] as const;

/** How runs end without a capture. */
const runEndings = {
  skipped: ['overlap', 'node_pressure', 'paused', 'not_capturable', 'approval_required', 'deleted'],
  missed: [
    'node_offline',
    'deadline',
    'node_busy',
    'disk_too_small',
    'quota_exceeded',
    'collector_down',
    'clock_jumped',
    'cluster_unavailable',
    'no_nodes',
  ],
} as const;
const endings: readonly { readonly state: string; readonly reason: string }[] = [
  { state: 'succeeded', reason: '' },
  ...Object.entries(runEndings).flatMap(([state, reasons]) => reasons.map((reason) => ({ state, reason }))),
];

/**
 * The schedules, and for each schedule and node how its captures have gone. For captures by hand the schedule is empty. `timesOf` is asked for each
 * schedule at each scrape. Returns the function that counts runs as they end.
 */
export function watchSchedules(
  scrape: Scrape,
  queries: MetricQueries,
  captures: CaptureSeries,
  nodes: () => ReadonlySet<string>,
  timesOf: (schedule: string) => ScheduleTimes,
): (run: EndedRun) => void {
  const one = ['schedule'] as const;
  const created = scrape.gauge('kcorder_schedule_created_timestamp_seconds', 'When the schedule was made.', one);
  const paused = scrape.gauge('kcorder_schedule_paused', '1 while the schedule is paused, else 0.', one);
  const next = scrape.gauge(
    'kcorder_schedule_next_run_timestamp_seconds',
    'The next tick; not there while it is paused or when there is none.',
    one,
  );
  const interval = scrape.gauge(
    'kcorder_schedule_interval_seconds',
    'The longest time between two ticks of the schedule that follow each other.',
    one,
  );
  const success = scrape.gauge(
    'kcorder_schedule_last_success_timestamp_seconds',
    'When the newest complete capture of the schedule ended, on whichever node; 0: never.',
    one,
  );
  const runs = scrape.gauge('kcorder_schedule_runs', "The runs of the schedule's newest tick, by how they stand.", [
    'schedule',
    'state',
    'reason',
  ]);
  const runsEnded = scrape.counter(
    'kcorder_schedule_runs_ended_total',
    'Ticks on nodes that have ended, by schedule and how; those that a collector slept through are counted when it starts.',
    ['schedule', 'state', 'reason'],
  );
  scrape.read(() => {
    const schedules = queries.schedules().map((schedule) => ({ ...schedule, times: timesOf(schedule.name) }));
    for (const { name } of schedules) for (const ending of endings) runsEnded.inc({ schedule: name, ...ending }, 0);
    const each = (value: (schedule: (typeof schedules)[number]) => number | undefined) =>
      schedules.map((schedule) => [{ schedule: schedule.name }, value(schedule)] as const);
    replace(
      created,
      each(({ createdAtMs }) => createdAtMs / 1000),
    );
    replace(
      paused,
      each((schedule) => (schedule.paused ? 1 : 0)),
    );
    replace(
      next,
      each((schedule) => (schedule.paused ? undefined : seconds(schedule.times.nextAtMs))),
    );
    replace(
      interval,
      each(({ times }) => seconds(times.intervalMs)),
    );
    replace(
      success,
      each(({ name }) => (captures.succeededAtMs(name) ?? 0) / 1000),
    );
    replace(
      runs,
      schedules.flatMap(({ name }) => runsOf(queries, name)),
    );
  });
  watchRecords(scrape, queries, captures, nodes);
  return ({ schedule, state, reason, ticks }) => runsEnded.inc({ schedule, state, reason }, ticks);
}

/** Every state is there for every schedule, those without a reason at least. */
function runsOf(queries: MetricQueries, schedule: string) {
  const newest = queries.newestRuns(schedule);
  const absent = runStates.filter((state) => !newest.some((run) => run.state === state && run.reason === ''));
  return [...newest, ...absent.map((state) => ({ state, reason: '', count: 0 }))].map(
    ({ state, reason, count }) => [{ schedule, state, reason }, count] as const,
  );
}

function watchRecords(
  scrape: Scrape,
  queries: MetricQueries,
  captures: CaptureSeries,
  nodes: () => ReadonlySet<string>,
): void {
  const pair = ['schedule', 'node'] as const;
  const success = scrape.gauge(
    'kcorder_capture_last_success_timestamp_seconds',
    "When the node's newest complete capture ended; 0: never. For the nodes that the schedule's two newest ticks came to, and by hand.",
    pair,
  );
  const last = scrape.gauge(
    'kcorder_capture_last_ended_timestamp_seconds',
    "When the node's newest capture ended, with its outcome.",
    [...pair, 'outcome', 'reason'],
  );
  const failures = scrape.gauge(
    'kcorder_capture_consecutive_failures',
    "The node's captures that have ended as partial or failed since the newest complete one; only what is not 0.",
    pair,
  );
  const wanted = scrape.gauge(
    'kcorder_capture_wanted_since_timestamp_seconds',
    'The first tick of the schedule that came to the node; only where no capture was complete yet.',
    pair,
  );
  scrape.read(() => {
    const current = nodes();
    const byHand = [...captures.manualNodes].filter((node) => current.has(node));
    const pairs = [
      ...queries.schedules().flatMap(({ name }) => queries.nodesOf(name).map((node) => ({ schedule: name, node }))),
      ...byHand.map((node) => ({ schedule: '', node })),
    ];
    const records = pairs.map((labels) => ({ labels, record: queries.record(labels.schedule, labels.node) }));
    const present = records.flatMap(({ labels, record }) => (record === undefined ? [] : [{ labels, record }]));
    replace(
      success,
      records.map(({ labels, record }) => [labels, (record?.succeededAtMs ?? 0) / 1000]),
    );
    replace(
      wanted,
      records
        .filter(({ labels, record }) => labels.schedule !== '' && record?.succeededAtMs === undefined)
        .map(({ labels }) => [labels, seconds(queries.firstTickMs(labels.schedule, labels.node))]),
    );
    replace(
      last,
      present.map(({ labels, record: { outcome, reason, endedAtMs } }) => [
        { ...labels, outcome, reason },
        endedAtMs / 1000,
      ]),
    );
    replace(
      failures,
      present.map(({ labels, record }) => [labels, record.failures === 0 ? undefined : record.failures]),
    );
  });
}
