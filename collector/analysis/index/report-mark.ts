import { createHash } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { AnalysisReport } from '../analysis.ts';
import { readReport } from '../report-file.ts';

/** A report and what tells it from any other. */
export interface MarkedReport {
  readonly report: AnalysisReport;
  /** Lower-case hex of what it says. */
  readonly sha256: string;
}

/** The report in a directory. Throws evidence_missing when there is none, or it cannot be read. */
export async function readMarkedReport(outputDir: string): Promise<MarkedReport> {
  const report = await readReport(outputDir);
  if (report === undefined)
    throw new Fault('evidence_missing', `there are no results in ${outputDir}: analyze the capture`);
  return { report, sha256: createHash('sha256').update(JSON.stringify(report)).digest('hex') };
}
