import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { AnalysisReport, PluginReport, PodContainerNames } from '../../analysis.ts';
import { knownColumns } from '../../plugins.ts';
import type { Cell } from '../../protocol.ts';
import { writeReport } from '../../report-file.ts';
import { rowPath } from '../../row-file.ts';

/** What a plugin is to have left: its columns and rows, or how else it ended. */
export type PluginLeft =
  | { readonly columns: readonly string[]; readonly rows: Iterable<readonly Cell[]>; readonly warnings?: string[] }
  | { readonly state: 'empty' }
  | { readonly state: 'failed'; readonly reason: string };

/** Leaves the results of an analysis in a directory, as one that has ended does. */
export async function leaveResults(
  outputDir: string,
  plugins: Readonly<Record<string, PluginLeft>>,
  rest: Partial<Pick<AnalysisReport, 'containers' | 'startedAt' | 'kernel'>> = {},
): Promise<AnalysisReport> {
  await mkdir(outputDir, { recursive: true });
  const reports: PluginReport[] = [];
  for (const [name, left] of Object.entries(plugins)) reports.push(await leavePlugin(outputDir, name, left));
  const report: AnalysisReport = {
    captureId: 'c-1',
    state: 'done',
    reason: '',
    detail: '',
    kernelMismatch: false,
    versions: { volatility: '2.28.2' },
    isolation: { network: 'none', endsWithCollector: true },
    containers: [],
    diagnostics: [],
    startedAt: '2026-11-30T12:00:00.000Z',
    seconds: 2,
    ...rest,
    plugins: reports,
  };
  await writeReport(outputDir, report);
  return report;
}

async function leavePlugin(outputDir: string, name: string, left: PluginLeft): Promise<PluginReport> {
  const report = { name, reason: '', rowCount: 0, seconds: 1, warnings: [], columns: [] };
  if ('state' in left) return { ...report, ...left };
  const file = createWriteStream(rowPath(outputDir, name));
  let rowCount = 0;
  for (const row of left.rows) {
    rowCount += 1;
    if (!file.write(`${JSON.stringify(row)}\n`)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  return { ...report, state: 'rows', rowCount, columns: left.columns, warnings: left.warnings ?? [] };
}

/** A process in the rows of our plugin: its cells by their columns, the rest null. */
export function processRow(cells: Readonly<Record<string, Cell>>): Cell[] {
  return knownColumns('processes').map((column) => cells[column] ?? null);
}

/** Our plugin `processes` with these processes. */
export const processesOf = (...processes: Readonly<Record<string, Cell>>[]): PluginLeft => ({
  columns: knownColumns('processes'),
  rows: processes.map(processRow),
});

export const podUid = (number: number): string => `0aa1f7c2-6a0c-4b3e-9d55-${String(number).padStart(12, '0')}`;
const containerId = (number: number): string => String(number).padStart(64, 'c');

/** Cgroup of a container of a pod, by their numbers. */
export const cgroupOf = (pod: number, container: number): string =>
  `/kubepods/besteffort/pod${podUid(pod)}/${containerId(container)}`;

/** The container as the node names it: pod-N in the namespace shop. */
export const containerOf = (pod: number, container: number): PodContainerNames => ({
  podNamespace: 'shop',
  podName: `pod-${pod}`,
  podUid: podUid(pod),
  containerName: `main-${container}`,
  containerId: containerId(container),
});
