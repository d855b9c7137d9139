import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Phase } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { type Run, RunState } from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { makeAuthority } from '../certificates.ts';
import { say } from '../setup/progress.ts';
import { Agents } from './fleet/agents.ts';
import { monotonicMs } from './fleet/clock.ts';
import { type CollectorSide, startCollectorSide } from './fleet/side.ts';
import { scratchDir } from './recorded-image.ts';
import { median, type Row } from './row.ts';
import { usageOf } from './worker-process.ts';

const processes = 3;
const intervalSeconds = 6 * 3600;
const targets = { cpuPercent: 5, scrapeMs: 200, series: 5_000 };
const schedule = 'bench';
const roundLimitMs = 20 * 60_000;

/** What is measured. */
export interface SchedulesPlan {
  readonly nodes: number;
  /** Captures that may run at once. */
  readonly cap: number;
  /** Moments of the runs are spread over so many seconds. */
  readonly jitterSeconds: number;
  readonly scrapes: number;
}

/**
 * One round of a schedule over simulated agents, each of which brings one page. The processor time of the whole round is charged to six hours; what a
 * schedule costs that waits for its tick is measured by itself.
 */
export async function benchSchedules(plan: SchedulesPlan): Promise<Row[]> {
  const scratch = scratchDir();
  const authority = makeAuthority(join(scratch.path, 'tls'));
  mkdirSync(join(scratch.path, 'data'));
  const env = { KCORDER_MAX_CAPTURES: String(plan.cap), KCORDER_RESERVE_BYTES: '1' };
  const collector = await startCollectorSide(scratch.path, authority, authority.operator('bench'), env);
  const agents = new Agents(processes);
  try {
    const nodes = await collector.nodes(plan.nodes);
    await agents.enrol(nodes, collector.apiAddress, readFileSync(collector.caPath, 'utf8'), true);
    await agents.attach(collector.address);
    await sleep(5_000);
    const bare = await cpuShare(collector, 20);
    await collector.schedules.createSchedule({
      spec: {
        name: schedule,
        cron: soon(),
        analyze: false,
        jitter: { seconds: BigInt(plan.jitterSeconds), nanos: 0 },
        startingDeadline: { seconds: 3600n, nanos: 0 },
        retention: { keepLast: 1 },
      },
    });
    const resting = await cpuShare(collector, 20);
    const round = await runRound(collector, plan, bare);
    const scrape = await scrapes(collector.metricsUrl, plan.scrapes);
    say(`bench schedules: ${JSON.stringify({ bare, resting, ...round, ...scrape })}`);
    const row = (name: string, ours: number, peer: number, unit: string, note: string): Row => ({
      bench: 'schedules',
      case: `${name}-${plan.nodes}`,
      ours,
      peer,
      ratio: peer / ours,
      unit,
      note,
    });
    const charged = resting - bare + (round.cpuSeconds / intervalSeconds) * 100;
    return [
      row(
        'cpu',
        Math.max(charged, 1e-3),
        targets.cpuPercent,
        '%',
        `of one processor: with the schedule ${resting.toFixed(2)}, without ${bare.toFixed(2)}, and ${round.cpuSeconds.toFixed(1)} s for a round of ${plan.nodes} captures every six hours; peer: the target`,
      ),
      row(
        'in-progress',
        round.mostAtOnce,
        plan.cap,
        'captures',
        `the most at once in ${round.samples} samples; peer: the cap; ${round.succeeded} runs succeeded in ${round.seconds.toFixed(0)} s`,
      ),
      row(
        'scrape',
        median(scrape.ms),
        targets.scrapeMs,
        'ms',
        `slowest ${Math.max(...scrape.ms).toFixed(0)}; peer: the target`,
      ),
      row('series', scrape.series, targets.series, 'series', 'peer: the target'),
    ];
  } finally {
    await Promise.all([agents.stop(), collector.stop()]);
    scratch.remove();
  }
}

interface Round {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly succeeded: number;
  readonly mostAtOnce: number;
  readonly samples: number;
}

/** A pattern whose next tick is a minute or two away. */
function soon(): string {
  const at = new Date(Date.now() + 90_000);
  return `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`;
}

/** Waits for the tick and follows its round to the end. Throws when a run is lost, missed or doubled. */
async function runRound(
  { schedules, operator, pid }: CollectorSide,
  plan: SchedulesPlan,
  barePercent: number,
): Promise<Round> {
  const before = usageOf(pid).cpuSeconds;
  const beganMs = monotonicMs();
  let mostAtOnce = 0;
  let samples = 0;
  let runs: readonly Run[] = [];
  const open: readonly RunState[] = [RunState.WAITING, RunState.RUNNING];
  do {
    await sleep(1_000);
    const { captures } = await operator.listCaptures({ pageSize: 500 });
    const running = captures.filter(({ phase }) => phase === Phase.REQUESTED || phase === Phase.ACQUIRING);
    mostAtOnce = Math.max(mostAtOnce, running.length);
    samples += 1;
    if (samples % 10 === 0) runs = (await schedules.listRuns({ schedule, limit: 1000 })).runs;
    if (monotonicMs() - beganMs > roundLimitMs)
      throw new Error(`the round did not end in ${roundLimitMs / 60_000} min`);
  } while (runs.length < plan.nodes || runs.some(({ state }) => open.includes(state)));
  const seconds = (monotonicMs() - beganMs) / 1000;
  const succeeded = runs.filter(({ state }) => state === RunState.SUCCEEDED);
  const names = new Set(succeeded.map(({ nodeName }) => nodeName));
  if (succeeded.length !== plan.nodes || names.size !== plan.nodes) {
    const other = runs.find(({ state }) => state !== RunState.SUCCEEDED);
    throw new Error(
      `${succeeded.length} runs on ${names.size} of ${plan.nodes} nodes succeeded; another: ${other?.reason} ${other?.detail}`,
    );
  }
  if (mostAtOnce > plan.cap) throw new Error(`${mostAtOnce} captures ran at once, ${plan.cap} are allowed`);
  // What heartbeats cost is none of the schedule's.
  const cpuSeconds = usageOf(pid).cpuSeconds - before - (barePercent / 100) * seconds;
  return { seconds, cpuSeconds, succeeded: succeeded.length, mostAtOnce, samples };
}

async function cpuShare({ pid }: CollectorSide, seconds: number): Promise<number> {
  const before = usageOf(pid).cpuSeconds;
  const beganMs = monotonicMs();
  await sleep(seconds * 1000);
  return ((usageOf(pid).cpuSeconds - before) / ((monotonicMs() - beganMs) / 1000)) * 100;
}

async function scrapes(url: string, count: number): Promise<{ ms: number[]; series: number }> {
  const ms: number[] = [];
  let series = 0;
  for (let index = 0; index < count; index += 1) {
    const beganMs = monotonicMs();
    const text = await (await fetch(url)).text();
    ms.push(monotonicMs() - beganMs);
    series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
  }
  return { ms, series };
}
