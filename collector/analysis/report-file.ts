import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { readBounded } from '@kcorder/proto/bounds/files.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { AnalysisReport } from './analysis.ts';

const reportVersion = 1;

export function reportPath(outputDir: string): string {
  return join(outputDir, 'report.json');
}

/** Puts the report in its place, whole. */
export async function writeReport(outputDir: string, report: AnalysisReport): Promise<void> {
  const path = reportPath(outputDir);
  const draft = `${path}.part`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ version: reportVersion, ...report }, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/** The report of an analysis; undefined when none has ended there. Throws Fault evidence_missing when it is damaged. */
export async function readReport(outputDir: string): Promise<AnalysisReport | undefined> {
  const path = reportPath(outputDir);
  let text: string;
  try {
    text = (await readBounded(path, 'analysisReport')).toString('utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw damaged(path, error);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isReport(value)) return value;
  } catch (error) {
    throw damaged(path, error);
  }
  throw damaged(path, undefined);
}

function damaged(path: string, cause: unknown): Fault {
  return new Fault('evidence_missing', `the analysis report ${path} cannot be read; analyze the capture again`, {
    cause,
  });
}

// The file is our own and written whole: its version and outline are enough to tell it from anything else.
function isReport(value: unknown): value is AnalysisReport {
  if (typeof value !== 'object' || value === null) return false;
  const report = value as Partial<Record<keyof AnalysisReport | 'version', unknown>>;
  const stateKnown = report.state === 'done' || report.state === 'failed';
  return (
    report.version === reportVersion && stateKnown && Array.isArray(report.plugins) && Array.isArray(report.containers)
  );
}
