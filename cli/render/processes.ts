import type { Process } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { GetAnalysisResponse, PodReference } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import { momentOf, utcText } from '../output/figures.ts';
import { type Column, gridOf, type Look, type Row } from '../output/grid.ts';
import { visible } from '../output/visible.ts';
import { because, isPartial, outcomeWord } from './capture-words.ts';
import { containerGroups } from './container-groups.ts';
import { listenersOf } from './listeners.ts';
import { type Branch, treeOf } from './process-tree.ts';

/** What of an analysis is shown. */
export interface ProcessView {
  readonly kernelThreads: boolean;
  /** Off when the sockets could not be read: then nobody must take an empty cell for "listens on nothing". */
  readonly socketsKnown: boolean;
  /** What somebody asked for stands before the rest. */
  readonly podsFirst?: readonly PodReference[];
}

const columns: readonly Column[] = [
  { title: 'PID', align: 'right' },
  { title: 'PPID', align: 'right' },
  { title: 'NS-PID', align: 'right' },
  { title: 'UID', align: 'right' },
  { title: 'START (UTC)' },
  { title: 'STATE' },
  { title: 'LISTEN' },
];
const wideColumns: readonly Column[] = [
  { title: 'THREADS', align: 'right' },
  { title: 'HOSTNAME' },
  { title: 'CONTAINER ID' },
  { title: 'TASK' },
  { title: 'CGROUP' },
];
const deepest = 12;
const listenColumn = columns.length - 1;

interface Group {
  readonly path: readonly string[];
  readonly rows: readonly Row[];
  /** Stands below the rows. */
  readonly remark?: string;
}

/** The process table of a capture: node > namespace > pod > container, in each a tree by parent. */
export function processesText(analysis: GetAnalysisResponse, view: ProcessView, look: Look): string {
  const groups = groupsOf(analysis, view, look.wide);
  const titles = [...columns, ...(look.wide ? wideColumns : []), { title: 'COMMAND' }];
  const grid = gridOf(
    titles,
    groups.flatMap(({ rows }) => rows),
    look,
  );
  const nodeName = analysis.capture?.nodeName || 'unknown node';
  const blocks = groups.map(({ path, rows, remark }) => {
    const heading = look.paint('heading', [nodeName, ...path].map(visible).join(' > '));
    const end = remark === undefined ? [] : [look.paint('quiet', `  ${remark}`)];
    return ['', heading, ...rows.map((row) => grid.line(row)), ...end];
  });
  return [...captionOf(analysis, look), '', grid.header, ...blocks.flat()].map((line) => `${line}\n`).join('');
}

function captionOf(analysis: GetAnalysisResponse, look: Look): string[] {
  const { capture } = analysis;
  if (capture === undefined) return [];
  const taken = utcText(momentOf(capture.firstByteAt ?? capture.requestedAt));
  const count = `${analysis.processes.length} processes`;
  const caption = `capture ${capture.id} of ${capture.nodeName}, ${outcomeWord(capture.outcome)}, taken ${taken} UTC, ${count}`;
  if (!isPartial(capture)) return [visible(caption)];
  const why = because(capture.outcome) || 'no reason given';
  return [visible(caption), look.paint('bad', visible(`PARTIAL image, processes may be missing: ${why}`))];
}

function groupsOf(analysis: GetAnalysisResponse, view: ProcessView, wide: boolean): Group[] {
  const rowsOf = (processes: readonly Process[]): Row[] =>
    treeOf(processes).flatMap((branch) => processRows(branch, view, wide));
  const contained = containerGroups(analysis.processes, analysis.containers, view.podsFirst).map(
    ({ path, processes }): Group => {
      const rows = rowsOf(processes);
      return rows.length > 0 ? { path, rows } : { path, rows, remark: 'no process in this container' };
    },
  );
  const own = analysis.processes.filter(({ placement }) => placement === undefined);
  const programs = own.filter(({ kernelThread }) => !kernelThread);
  const threads = own.filter(({ kernelThread }) => kernelThread);
  const kernel: Group = view.kernelThreads
    ? { path: ['kernel threads'], rows: rowsOf(threads) }
    : {
        path: ['kernel threads'],
        rows: rowsOf(threads.filter(({ hidden }) => hidden)),
        remark: `${threads.length} kernel threads; --all lists them`,
      };
  return [
    ...contained,
    ...(programs.length > 0 ? [{ path: ['node processes'], rows: rowsOf(programs) }] : []),
    ...(threads.length > 0 ? [kernel] : []),
  ];
}

/** One line, and one more for each listener that finds no room beside the first. */
function processRows({ process, depth }: Branch, view: ProcessView, wide: boolean): Row[] {
  const [listener, ...more] = view.socketsKnown ? listenersOf(process.sockets) : ['?'];
  const row: Row = [
    String(process.pid),
    String(process.ppid),
    process.namespacePid === 0 ? '-' : String(process.namespacePid),
    String(process.uid),
    utcText(process.startTime),
    process.state || '-',
    listener ?? '',
    ...(wide ? wideCells(process) : []),
    `${indentOf(depth)}${commandOf(process)}`,
  ];
  return [row, ...more.map((text): Row => [...Array<string>(listenColumn).fill(''), text])];
}

function wideCells(process: Process): string[] {
  return [
    String(process.threads),
    process.hostname || '-',
    process.placement?.containerId || '-',
    process.taskAddress || '-',
    process.cgroup || '-',
  ];
}

function indentOf(depth: number): string {
  return depth === 0 ? '' : `${'   '.repeat(Math.min(depth, deepest) - 1)}└─ `;
}

function commandOf(process: Process): string {
  // Before it, as long command lines are cut.
  return process.hidden ? `(HIDDEN) ${programOf(process)}` : programOf(process);
}

/** The command line; in brackets the name alone of what has none, with a word on one that could not be read. */
function programOf(process: Process): string {
  if (process.commandLine !== undefined && process.commandLine !== '') return process.commandLine;
  const hasNone = process.kernelThread || process.commandLine === '' || process.state === 'zombie';
  return hasNone ? `[${process.name}]` : `[${process.name}] (command line not readable)`;
}
