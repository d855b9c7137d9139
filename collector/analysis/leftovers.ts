import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnalysisReport } from './analysis.ts';
import { indexPath } from './index/index-path.ts';
import { reportPath } from './report-file.ts';
import { reportedRowPath } from './row-file.ts';
import { runDirPrefix } from './runner.ts';

const addedPrefix = 'added-';
const rowFile = /\.jsonl(\.part)?$/;

/** Makes a directory for the rows of plugins that are added to the results in another. */
export async function makeAddedDir(outputDir: string): Promise<string> {
  return await mkdtemp(join(outputDir, addedPrefix));
}

/** Removes what an analysis left, its report first. */
export async function clearResults(outputDir: string): Promise<void> {
  await rm(reportPath(outputDir), { force: true });
  await removeIndexes(outputDir);
  for (const name of await readdir(outputDir)) {
    const ours = [runDirPrefix, addedPrefix].some((prefix) => name.startsWith(prefix));
    if (ours || rowFile.test(name) || name.endsWith('.part')) await remove(join(outputDir, name));
  }
}

/** Removes the files of results, which are made anew of a report when they are asked for. */
export async function removeIndexes(outputDir: string): Promise<void> {
  for (const unmask of [false, true]) await rm(indexPath(outputDir, unmask), { force: true });
}

/** Removes rows that the report does not name: what it replaced, and what an addition left that was killed. */
export async function removeUnreported(outputDir: string, report: AnalysisReport): Promise<void> {
  const kept = new Set(
    report.plugins.flatMap((plugin) => (plugin.state === 'rows' ? [reportedRowPath(outputDir, plugin)] : [])),
  );
  for (const name of await readdir(outputDir)) {
    const path = join(outputDir, name);
    if (name.startsWith(addedPrefix)) await removeOthers(path, kept);
    else if (name.startsWith(runDirPrefix) || (rowFile.test(name) && !kept.has(path))) await remove(path);
  }
}

async function removeOthers(directory: string, kept: ReadonlySet<string>): Promise<void> {
  const paths = (await readdir(directory)).map((name) => join(directory, name));
  const others = paths.filter((path) => !kept.has(path));
  if (others.length === paths.length) await remove(directory);
  else for (const path of others) await remove(path);
}

const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true });
