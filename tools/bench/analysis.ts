import { join } from 'node:path';
import { openFile } from '../../collector/store/file-source.ts';
import { openFrames } from '../../collector/store/frames/open-frames.ts';
import { packImage } from '../../collector/store/frames/pack.ts';
import { type CapturedImage, captureNode, openCaptured } from './analysis/captured.ts';
import { crowd, ensureCrowd } from './analysis/crowd.ts';
import { firstRows } from './analysis/first-row.ts';
import { type BenchProfile, peerPlugins, profiles } from './analysis/profiles.ts';
import { type Cost, type OurRun, runOurs, runPeers } from './analysis/runs.ts';
import { scratchDir } from './recorded-image.ts';
import { median, type Row, spread } from './row.ts';

const bench = 'analysis';
const aims = { firstTableSeconds: 1, deepSeconds: 8, crowdSeconds: 20, frames: 1.3 };

type Peers = ReadonlyMap<string, Cost | undefined>;

/** Our analysis of the image of a node with 3,000 processes, against the aims: stock `vol` would take hours. */
export async function benchCrowd({ runs }: { runs: number }): Promise<Row[]> {
  const scratch = scratchDir();
  try {
    const captured = await ensureCrowd();
    const rows: Row[] = [];
    for (const { name, plugins } of profiles) {
      const ours = await repeat(runs, async () => await runOurs(captured, plugins, join(scratch.path, name)));
      const peer = name === 'first-table' ? aims.firstTableSeconds : aims.crowdSeconds;
      const seconds = ours.map((run) => run.seconds);
      const note = `whole analysis of ${plugins.length} plugins, ${spread(seconds, 2)} s, processor ${median(ours.map(({ cpuSeconds }) => cpuSeconds)).toFixed(2)} s; slowest: ${slowest(ours)}; peer: the aim`;
      rows.push({
        bench,
        case: `${crowd}-${name}`,
        ours: median(seconds),
        peer,
        ratio: peer / median(seconds),
        unit: 's',
        note,
      });
    }
    return rows;
  } finally {
    scratch.remove();
  }
}

/** The plugins that took longest in the last run. */
function slowest(runs: readonly OurRun[]): string {
  const plugins = runs.at(-1)?.report.plugins ?? [];
  const sorted = plugins.toSorted((a, b) => b.seconds - a.seconds).slice(0, 8);
  return sorted.map(({ name, seconds }) => `${name} ${seconds.toFixed(1)}`).join(', ');
}

/**
 * Our analysis of a real image against one stock `vol` for each plugin, by profile and by plugin; and of the packed image against the plain
 * one. Without `imageDir` a lab node is booted and captured first.
 */
export async function benchAnalysis({ runs, imageDir }: { runs: number; imageDir?: string }): Promise<Row[]> {
  const scratch = scratchDir();
  try {
    const captured = imageDir === undefined ? await captureNode(scratch.path) : openCaptured(imageDir);
    const peers = await runPeers(captured, peerPlugins, scratch.path);
    const rows: Row[] = [];
    let widest: readonly OurRun[] = [];
    for (const { name, plugins } of profiles) {
      widest = await repeat(runs, async () => await runOurs(captured, plugins, join(scratch.path, name)));
      rows.push(profileRow(name, widest, plugins, peers));
    }
    rows.push(...pluginRows(widest, peers));
    rows.push(await watchedRow(captured, scratch.path, runs));
    const packed = join(scratch.path, 'image.lime.zst');
    await packImage(captured.job.image.path, packed, new AbortController().signal);
    for (const profile of profiles.filter(({ name }) => name === 'standard' || name === 'deep'))
      rows.push(await framesRow(captured, packed, profile, runs));
    return rows;
  } finally {
    scratch.remove();
  }
}

function profileRow(name: string, ours: readonly OurRun[], plugins: readonly string[], peers: Peers): Row {
  const times = ours.map(({ seconds }) => seconds);
  const compared = plugins.flatMap((plugin) => peers.get(plugin) ?? []);
  const [mine, peer] = [median(times), sum(compared.map(({ seconds }) => seconds))];
  const [cpu, peerCpu] = [median(ours.map(({ cpuSeconds }) => cpuSeconds)), sum(compared.map((one) => one.cpuSeconds))];
  const aim = name === 'first-table' ? aims.firstTableSeconds : name === 'deep-without-scans' ? aims.deepSeconds : 0;
  const wall = `whole analysis of ${plugins.length} plugins, ${spread(times, 2)} s, processor ${cpu.toFixed(2)} s`;
  if (compared.length === 0)
    return { bench, case: name, ours: mine, peer: aim, ratio: aim / mine, unit: 's', note: `${wall}; peer: the aim` };
  const note = `${wall}${aim > 0 ? ` (aim ${aim} s)` : ''}; peer: ${compared.length} times one vol, processor ${peerCpu.toFixed(0)} s (${(peerCpu / cpu).toFixed(0)} times)`;
  return { bench, case: name, ours: mine, peer, ratio: peer / mine, unit: 's', note };
}

function pluginRows(ours: readonly OurRun[], peers: Peers): Row[] {
  return (ours[0]?.report.plugins ?? []).flatMap(({ name, state, rowCount, reason }) => {
    const times = ours.map(({ report }) => report.plugins.find((plugin) => plugin.name === name)?.seconds ?? 0);
    const peer = peers.get(name)?.seconds;
    const seconds = median(times);
    const end = state === 'rows' ? `${rowCount} rows` : `${state} ${reason}`.trim();
    if (peer === undefined) return [];
    const note = `${end}, ${spread(times, 3)} s; peer: one vol`;
    return [{ bench, case: name, ours: seconds, peer, ratio: peer / Math.max(seconds, 0.001), unit: 's', note }];
  });
}

/** The first process that a watch of a standard analysis shows. */
async function watchedRow(captured: CapturedImage, dir: string, runs: number): Promise<Row> {
  const found = await firstRows(captured, dir, runs);
  const first = found.map(({ firstSeconds }) => firstSeconds);
  const [ours, peer] = [median(first), aims.firstTableSeconds];
  const table = spread(
    found.map(({ tableSeconds }) => tableSeconds),
    2,
  );
  const note = `first process watched, ${spread(first, 2)} s, the whole table ${table} s; its parent was ready; peer: the aim`;
  return { bench, case: 'first-row-watched', ours, peer, ratio: peer / ours, unit: 's', note };
}

/** A profile on the image in frames, read by ranges, against the plain file; in turn. */
async function framesRow(
  captured: CapturedImage,
  packed: string,
  { name, plugins }: BenchProfile,
  runs: number,
): Promise<Row> {
  const [a, b]: [number[], number[]] = [[], []];
  for (let index = 0; index < runs; index += 1) {
    a.push((await runOurs(captured, plugins, `${packed}-plain`)).seconds);
    await using source = await openFrames(await openFile(packed, 'the packed image'), packed);
    b.push((await runOurs(captured, plugins, `${packed}-frames`, { image: { kind: 'ranges', source } })).seconds);
  }
  const [ours, peer] = [median(b) / median(a), aims.frames];
  const note = `on frames ${spread(b, 2)} s, on the plain file ${spread(a, 2)} s, in turn; peer: the aim`;
  return { bench, case: `frames-${name}`, ours, peer, ratio: peer / ours, unit: 'x', note };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

async function repeat<T>(times: number, run: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let index = 0; index < times; index += 1) results.push(await run());
  return results;
}
