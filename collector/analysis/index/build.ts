import { chmod, open, rename, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '@kcorder/proto/fault.ts';
import type { AnalysisReport, PluginReport } from '../analysis.ts';
import { type Mask, maskOf } from '../masking.ts';
import { knownColumns } from '../plugins.ts';
import { streamRows } from '../results.ts';
import { Devices, mountPlugin } from './devices.ts';
import { Draft } from './draft.ts';
import { tableNames } from './names.ts';
import { eachRow, readTasks } from './read-tasks.ts';
import { readMarkedReport } from './report-mark.ts';
import { RowPlacer } from './row-placer.ts';
import { applicationId, indexVersion } from './schema.ts';
import type { Tasks } from './tasks.ts';

/** How much goes into one file. */
export interface IndexBounds {
  /** Rows that would make it larger are left out, which is told. */
  readonly bytes: number;
}

/** How a file is made. */
export interface BuildChoices {
  /** True: with what masking.ts masks otherwise. */
  readonly unmask?: boolean;
  readonly bounds?: IndexBounds;
}

const indexBounds: IndexBounds = { bytes: 2 ** 30 };

/** Rows between two looks at the size. */
const rowsAtOnce = 10_000;

/**
 * Makes the file of results at `path` from the report and the rows in a directory; it is there whole or not at all. Throws evidence_missing when a
 * report or its rows are not there, and storage_failed.
 */
export async function buildIndex(outputDir: string, path: string, choices: BuildChoices = {}): Promise<void> {
  const { unmask = false, bounds = indexBounds } = choices;
  const { report, sha256 } = await readMarkedReport(outputDir);
  const draft = `${path}.part`;
  try {
    await rm(draft, { force: true });
    const database = new DatabaseSync(draft);
    try {
      await chmod(draft, 0o600);
      // Nobody but us sees a draft, and nothing is left of one that was not finished.
      database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE');
      database.exec('PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384');
      database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${indexVersion}`);
      database.exec('BEGIN');
      await fill(database, outputDir, { report, sha256, bounds, unmask });
      database.exec('COMMIT');
    } finally {
      database.close();
    }
    const file = await open(draft, 'r');
    await file.sync().finally(() => file.close());
    // What was analyzed anew meanwhile is not this report's.
    if ((await readMarkedReport(outputDir)).sha256 !== sha256) throw changed(outputDir);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error instanceof Fault ? error : unwritten(path, error);
  }
}

interface Sources {
  readonly report: AnalysisReport;
  readonly sha256: string;
  readonly bounds: IndexBounds;
  readonly unmask: boolean;
}

async function fill(database: DatabaseSync, outputDir: string, sources: Sources): Promise<void> {
  const { report, sha256, bounds, unmask } = sources;
  const draft = new Draft(database);
  draft.noteCapture(report, sha256, !unmask);
  const tasks = await readTasks(outputDir, report);
  const devices = await readDevices(outputDir, report, tasks);
  const tables = tableNames(report.plugins.map(({ name }) => name));
  for (const [index, plugin] of report.plugins.entries()) {
    // A table without rows says that nothing is there.
    const hasRun = plugin.state === 'rows' || plugin.state === 'empty';
    if (hasRun)
      await fillTable(draft, outputDir, { report, plugin, table: tables[index] ?? '', tasks, devices, bounds, unmask });
    else draft.notePlugin(plugin, plugin.warnings, null, 0);
  }
}

interface TableSources {
  readonly report: AnalysisReport;
  readonly plugin: PluginReport;
  readonly table: string;
  readonly tasks: Tasks;
  readonly devices: Devices;
  readonly bounds: IndexBounds;
  readonly unmask: boolean;
}

async function fillTable(draft: Draft, outputDir: string, sources: TableSources): Promise<void> {
  const { report, plugin, table, tasks, devices, bounds, unmask } = sources;
  // A plugin that found nothing told no columns.
  const titles = plugin.columns.length > 0 ? plugin.columns : knownColumns(plugin.name);
  const rows = draft.openTable(table, titles);
  const placer = new RowPlacer(plugin.name, titles, tasks, devices);
  const mask = unmask ? undefined : maskOf(plugin.name, titles);
  let isFull = draft.bytes > bounds.bytes;
  for await (const row of streamRows(outputDir, report, plugin.name)) {
    if (isFull) break;
    rows.add(mask?.row(row) ?? row, placer.place(row));
    if (rows.rowCount % rowsAtOnce === 0) isFull = draft.bytes > bounds.bytes;
  }
  const keys = Object.entries(placer.keys === 'kernel' ? {} : placer.keys);
  for (const [position, title] of titles.entries())
    draft.noteColumn(plugin.name, position, {
      title,
      name: rows.columns[position] ?? '',
      type: rows.typeOf(position),
      key: keys.find(([, column]) => column === title)?.[0] ?? null,
    });
  const pid = placer.keys === 'kernel' ? undefined : placer.keys.pid;
  rows.addIndexes(pid === undefined ? undefined : rows.columns[titles.indexOf(pid)]);
  const left = plugin.rowCount - rows.rowCount;
  const cut = left > 0 ? [`truncated: the file of results holds the first ${rows.rowCount} of its rows`] : [];
  const notes = [...cut, ...maskedNote(mask), ...plugin.warnings];
  draft.notePlugin(plugin, notes, table, rows.rowCount);
}

/** What is told of a table without values. */
function maskedNote(mask: Mask | undefined): string[] {
  const columns = mask?.columns ?? [];
  return columns.length === 0 ? [] : [`masked: ${columns.join(', ')}; whoever may unmask results can read the values`];
}

async function readDevices(outputDir: string, report: AnalysisReport, tasks: Tasks): Promise<Devices> {
  const devices = new Devices(tasks);
  await eachRow(outputDir, report, mountPlugin, (cells, row) => devices.add(cells, row));
  return devices;
}

const changed = (outputDir: string): Fault =>
  new Fault('capture_running', `the capture was analyzed again while the results in ${outputDir} were read. Try again`);

function unwritten(path: string, error: unknown): Fault {
  const why = error instanceof Error ? error.message : String(error);
  const advice = 'check the free space and the permissions of the data directory';
  return new Fault('storage_failed', `the file of results ${path} could not be written (${why}): ${advice}`, {
    cause: error,
  });
}
