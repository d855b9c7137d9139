import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Process } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { AnalysisReport, PluginReport } from './analysis.ts';
import { readLines } from './lines.ts';
import { type PluginName, rowBoundOf } from './plugins.ts';
import { joinProcesses, type PluginRows } from './processes.ts';
import { type Cell, isCell } from './protocol.ts';
import { reportedRowPath } from './row-file.ts';
import { RowReader } from './row-reader.ts';

export { readReport } from './report-file.ts';

const rowLimitBytes = 16 * 2 ** 20;

/** What goes into one answer, of all plugins whose rows are asked for: bytes as they are on disk, and cells, of which the smallest grow sixfold. */
const mostOfAnAnswer = { bytes: 32 * 2 ** 20, cells: 2_500_000 };

/**
 * The rows of a plugin that ended with rows, one by one; none for any other ending. Throws Fault invalid_argument for a plugin that was not run
 * and evidence_missing when the rows are not there or not as many as the report says.
 */
export async function* streamRows(
  outputDir: string,
  report: { readonly plugins: readonly Pick<PluginReport, 'name' | 'state' | 'rowCount' | 'columns'>[] },
  plugin: string,
): AsyncGenerator<Cell[], void, undefined> {
  const known = report.plugins.find(({ name }) => name === plugin);
  if (known === undefined) {
    const names = report.plugins.map(({ name }) => name).join(', ');
    throw new Fault('invalid_argument', `no plugin ${plugin.slice(0, 80)} was run on this capture; there are ${names}`);
  }
  if (known.state !== 'rows') return;
  let count = 0;
  const path = reportedRowPath(outputDir, known);
  for await (const row of readRowFile(path, known.columns.length)) {
    yield row;
    count += 1;
  }
  if (count !== known.rowCount) throw missing(path, `${count} rows of ${known.rowCount}`);
}

/**
 * Throws Fault resource_exhausted when the rows of these plugins are too much for one answer, which is known before any of them is read, and
 * evidence_missing when they are not there.
 */
export async function checkAnswer(
  outputDir: string,
  report: AnalysisReport,
  plugins: readonly string[],
): Promise<void> {
  let bytes = 0;
  let cells = 0;
  for (const plugin of report.plugins) {
    if (plugin.state !== 'rows' || !plugins.includes(plugin.name)) continue;
    bytes += await sizeOf(reportedRowPath(outputDir, plugin));
    cells += plugin.rowCount * plugin.columns.length;
  }
  const { bytes: mostBytes, cells: mostCells } = mostOfAnAnswer;
  if (bytes <= mostBytes && cells <= mostCells) return;
  const message = `the rows of ${plugins.join(', ')} have ${cells} cells in ${bytes} bytes: one answer takes ${mostCells} cells and ${mostBytes} bytes. Ask for fewer plugins; the rows are in ${outputDir} on the collector`;
  throw new Fault('resource_exhausted', message);
}

/**
 * The processes by container; empty unless the plugin "processes" ended with rows. Throws Fault resource_exhausted for more rows than are joined
 * in memory, and evidence_missing as `streamRows` does.
 */
export async function readProcesses(outputDir: string, report: AnalysisReport): Promise<Process[]> {
  const processes = await openRows(outputDir, report, 'processes');
  if (processes === undefined) return [];
  return joinProcesses(processes, await openRows(outputDir, report, 'sockets'), report.containers);
}

/** The texts in one column of a plugin that ended with rows; none for any other ending. Throws as `readProcesses` does. */
export async function readColumn(
  outputDir: string,
  report: AnalysisReport,
  plugin: PluginName,
  column: string,
): Promise<string[]> {
  const found = await openRows(outputDir, report, plugin);
  if (found === undefined) return [];
  const cells = new RowReader(found.columns);
  const texts: string[] = [];
  for await (const row of found.rows) texts.push(cells.text(row, column) ?? '');
  return texts;
}

async function openRows(outputDir: string, report: AnalysisReport, name: PluginName): Promise<PluginRows | undefined> {
  const plugin = report.plugins.find((each) => each.name === name);
  if (plugin?.state !== 'rows') return undefined;
  const most = rowBoundOf(name);
  const bytes = await sizeOf(reportedRowPath(outputDir, plugin));
  // An analysis of an earlier version kept more.
  if (plugin.rowCount > most.rows || bytes > most.bytes) {
    const message = `the plugin ${name} left ${plugin.rowCount} rows of ${bytes} bytes: at most ${most.rows} of ${most.bytes} are read. Analyze the capture again`;
    throw new Fault('resource_exhausted', message);
  }
  return { columns: plugin.columns, rows: streamRows(outputDir, report, name) };
}

async function* readRowFile(path: string, columns: number): AsyncGenerator<Cell[], void, undefined> {
  try {
    for await (const line of readLines(createReadStream(path), rowLimitBytes)) {
      const row: unknown = JSON.parse(line.toString('utf8'));
      if (!Array.isArray(row) || row.length !== columns || !row.every(isCell))
        throw new TypeError('a line that is no row');
      yield row;
    }
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw missing(path, error instanceof Error ? error.message : String(error), error);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw missing(path, error instanceof Error ? error.message : String(error), error);
  }
}

function missing(path: string, what: string, cause?: unknown): Fault {
  return new Fault('evidence_missing', `the rows in ${path} cannot be read (${what}); analyze the capture again`, {
    cause,
  });
}
