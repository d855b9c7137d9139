import { say } from '../setup/progress.ts';
import type { Figures, Plan } from './fleet/measure.ts';
import { measureSize, type SizeFigures } from './fleet/size.ts';
import { median, type Row, spread } from './row.ts';

const mebibyte = 1 << 20;
const targets = { size: 2_000, rssMebibytes: 512, orderMs: 1_000 };
const processes = 3;

/** A collector with fleets of simulated agents against a plain grpc-js server that holds the same streams. */
export async function benchFleet({ sizes, plan }: { sizes: readonly number[]; plan: Plan }): Promise<Row[]> {
  const measured: SizeFigures[] = [];
  for (const size of sizes) {
    const queries = await measureSize(size, processes, plan);
    measured.push(queries);
    say(`bench fleet: ${size} agents: ours ${tell(queries.ours)}; peer ${tell(queries.peer)}`);
  }
  return [...measured.flatMap(rowsOf), ...perAgent(measured), ...measured.flatMap(againstTargets)];
}

function rowsOf({ size, enrolSeconds, ours, peer }: SizeFigures): Row[] {
  const row = (name: string, unit: string, pick: (queries: Figures) => number, note: string): Row => {
    const [a, b] = [pick(ours), pick(peer)];
    return { bench: 'fleet', case: `${name}-${size}`, ours: a, peer: b, ratio: b / a, unit, note };
  };
  const notes = {
    rss: `settled; peak ${mib(ours.peakRssBytes)}, peer's ${mib(peer.peakRssBytes)}; ${ours.connections} connections, ${ours.losses} lost; peer: plain grpc-js with the same streams`,
    cpu: 'share of one processor while nothing comes but heartbeats; peer: the same heartbeats',
    order: `${orders(ours)}; peer ${orders(peer)}`,
    list: `median ${median(ours.listMs).toFixed(1)}, peer's ${median(peer.listMs).toFixed(1)}; ${ours.listMs.length} calls; peer: the same nodes from memory`,
    attach: `all at once until ListNodes has them online; enrolment before it ${enrolSeconds.toFixed(1)} s (500 at once, then 50 a second), so ${(enrolSeconds + ours.attachSeconds).toFixed(1)} s from tokens to registered; ${ours.failures} tries failed${ours.failures > 0 ? ` (such as: ${ours.lastFailure})` : ''}, peer's ${peer.failures}; peer: attaching alone`,
  };
  return [
    row('rss', 'MiB', ({ rssBytes }) => rssBytes / mebibyte, notes.rss),
    row('cpu', '%', ({ cpuShare }) => cpuShare * 100, notes.cpu),
    row('order', 'ms', ({ orderMs }) => median(orderMs), notes.order),
    row('list-p99', 'ms', ({ listMs }) => quantile(listMs, 0.99), notes.list),
    row('attach', 's', ({ attachSeconds }) => attachSeconds, notes.attach),
  ];
}

/** Resident memory that one more agent costs: the slope from the smallest fleet to the largest. */
function perAgent(measured: readonly SizeFigures[]): Row[] {
  const [first, last] = [measured[0], measured.at(-1)];
  if (first === undefined || last === undefined || first.size === last.size) return [];
  const slope = (from: SizeFigures, to: SizeFigures, side: 'ours' | 'peer'): number =>
    (to[side].rssBytes - from[side].rssBytes) / (to.size - from.size) / 1024;
  const steps = measured.slice(1).map((to, index) => {
    const from = measured[index] ?? first;
    return `${from.size}-${to.size}: ${slope(from, to, 'ours').toFixed(0)}, peer's ${slope(from, to, 'peer').toFixed(0)}`;
  });
  const [ours, peer] = [slope(first, last, 'ours'), slope(first, last, 'peer')];
  const note = `slope of the settled memory from ${first.size} to ${last.size} agents; by steps ${steps.join('; ')}`;
  return [{ bench: 'fleet', case: 'per-agent', ours, peer, ratio: peer / ours, unit: 'KiB', note }];
}

function againstTargets({ size, ours }: SizeFigures): Row[] {
  if (size !== targets.size) return [];
  const row = (name: string, value: number, target: number, unit: string, note: string): Row => ({
    bench: 'fleet',
    case: `${name}-${size}-target`,
    ours: value,
    peer: target,
    ratio: target / value,
    unit,
    note,
  });
  return [
    row(
      'rss',
      ours.rssBytes / mebibyte,
      targets.rssMebibytes,
      'MiB',
      `peer: the target; peak ${mib(ours.peakRssBytes)}`,
    ),
    row('order', Math.max(...ours.orderMs), targets.orderMs, 'ms', 'the slowest order of the run; peer: the target'),
  ];
}

function tell({ attachSeconds, rssBytes, orderMs, cpuShare }: Figures): string {
  return `attached in ${attachSeconds.toFixed(1)} s, ${mib(rssBytes)}, ${(cpuShare * 100).toFixed(1)} % CPU, order ${median(orderMs).toFixed(1)} ms`;
}

const mib = (bytes: number): string => `${(bytes / mebibyte).toFixed(0)} MiB`;
const orders = ({ orderMs }: Figures): string => `${spread(orderMs, 1)} ms of ${orderMs.length} orders`;

/** The smallest value that at least this share of them does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
}
