import type { AnalysisReport, PluginReport } from '../analysis.ts';
import { streamRows } from '../results.ts';
import { RowReader } from '../row-reader.ts';
import { Tasks } from './tasks.ts';

/** What is asked of a report to read rows by it. */
export interface RowSource extends Pick<AnalysisReport, 'containers'> {
  readonly plugins: readonly Pick<PluginReport, 'name' | 'state' | 'rowCount' | 'columns'>[];
}

/** Reads the tasks of an image from the rows of `processes`, and their threads where those were listed. Throws as `streamRows` does. */
export async function readTasks(outputDir: string, source: RowSource): Promise<Tasks> {
  const tasks = new Tasks(source.containers);
  await eachRow(outputDir, source, 'processes', (cells, row) => tasks.add(cells, row));
  await eachRow(outputDir, source, 'linux.pidhashtable.PIDHashTable', (cells, row) => {
    const [tid, pid] = [cells.uint32(row, 'TID'), cells.uint32(row, 'PID')];
    if (tid !== undefined && pid !== undefined) tasks.addThread(tid, pid);
  });
  return tasks;
}

/** Reads the rows of a plugin, if it has any. */
export async function eachRow(
  outputDir: string,
  source: RowSource,
  name: string,
  take: (cells: RowReader, row: readonly unknown[]) => void,
): Promise<void> {
  const plugin = source.plugins.find((other) => other.name === name);
  if (plugin?.state !== 'rows') return;
  const cells = new RowReader(plugin.columns);
  for await (const row of streamRows(outputDir, source, name)) take(cells, row);
}
