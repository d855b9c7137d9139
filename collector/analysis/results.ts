import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { type ListValue, ListValueSchema } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Process } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { AnalysisReport } from './analysis.ts';
import { readLines } from './lines.ts';
import { joinProcesses, type PluginRows } from './processes.ts';
import { readReport } from './report-file.ts';
import { rowPath } from './row-file.ts';
import { RowReader } from './row-reader.ts';

export { readReport } from './report-file.ts';

const rowLimitBytes = 16 * 2 ** 20;

/** Most bytes of rows, as they lie on disk, that are read into one answer. */
const maxAnswerBytes = 32 * 2 ** 20;

/** Most rows that are joined in memory. A kernel allows 4 million pids; a node runs some thousands. */
const maxJoinedRows = 250_000;

/**
 * The rows of a plugin that ended with rows, one by one; none for any other ending. Throws Fault invalid_argument for a plugin that was not run
 * and evidence_missing when the rows are not there or not as many as the report says.
 */
async function* streamRows(
  outputDir: string,
  report: AnalysisReport,
  plugin: string,
): AsyncGenerator<JsonValue[], void, undefined> {
  const known = report.plugins.find(({ name }) => name === plugin);
  if (known === undefined) {
    const names = report.plugins.map(({ name }) => name).join(', ');
    throw new Fault('invalid_argument', `no plugin ${plugin.slice(0, 80)} was run on this capture; there are ${names}`);
  }
  if (known.state !== 'rows') return;
  let count = 0;
  for await (const row of readRowFile(rowPath(outputDir, plugin))) {
    yield row;
    count += 1;
  }
  if (count !== known.rowCount) throw missing(rowPath(outputDir, plugin), `${count} rows of ${known.rowCount}`);
}

/**
 * All rows of a plugin as the API carries them. Throws as `streamRows` does, evidence_missing when there is no report, and Fault
 * resource_exhausted for more rows than go into one answer.
 */
export async function readRows(outputDir: string, plugin: string): Promise<ListValue[]> {
  const report = await readReport(outputDir);
  if (report === undefined) throw missing(outputDir, 'no report is there');
  const path = rowPath(outputDir, plugin);
  const sizeBytes = report.plugins.some(({ name, state }) => name === plugin && state === 'rows')
    ? await sizeOf(path)
    : 0;
  if (sizeBytes > maxAnswerBytes) {
    const message = `the rows of ${plugin} take ${sizeBytes} bytes, more than the ${maxAnswerBytes} that go into one answer; they lie in ${path} on the collector`;
    throw new Fault('resource_exhausted', message);
  }
  const rows: ListValue[] = [];
  for await (const row of streamRows(outputDir, report, plugin)) rows.push(fromJson(ListValueSchema, row));
  return rows;
}

/**
 * The processes by container; empty unless the plugin "processes" ended with rows. Throws Fault resource_exhausted for more rows than are joined
 * in memory, and evidence_missing as `streamRows` does.
 */
export async function readProcesses(outputDir: string, report: AnalysisReport): Promise<Process[]> {
  const processes = openRows(outputDir, report, 'processes');
  if (processes === undefined) return [];
  return joinProcesses(processes, openRows(outputDir, report, 'sockets'), report.containers);
}

/** The texts in one column of a plugin that ended with rows; none for any other ending. Throws as `readProcesses` does. */
export async function readColumn(
  outputDir: string,
  report: AnalysisReport,
  plugin: string,
  column: string,
): Promise<string[]> {
  const found = openRows(outputDir, report, plugin);
  if (found === undefined) return [];
  const cells = new RowReader(found.columns);
  const texts: string[] = [];
  for await (const row of found.rows) texts.push(cells.text(row, column) ?? '');
  return texts;
}

function openRows(outputDir: string, report: AnalysisReport, name: string): PluginRows | undefined {
  const plugin = report.plugins.find((each) => each.name === name);
  if (plugin?.state !== 'rows') return undefined;
  if (plugin.rowCount > maxJoinedRows) {
    const message = `the plugin ${name} found ${plugin.rowCount} rows, more than the ${maxJoinedRows} that are joined to pods; read its own rows`;
    throw new Fault('resource_exhausted', message);
  }
  return { columns: plugin.columns, rows: streamRows(outputDir, report, name) };
}

async function* readRowFile(path: string): AsyncGenerator<JsonValue[], void, undefined> {
  try {
    for await (const line of readLines(createReadStream(path), rowLimitBytes)) {
      const row: JsonValue = JSON.parse(line.toString('utf8'));
      if (!Array.isArray(row)) throw new TypeError('a line that is no row');
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
  return new Fault('evidence_missing', `the rows in ${path} cannot be read (${what}); analyse the capture again`, {
    cause,
  });
}
