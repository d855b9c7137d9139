import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { JournaledCapture } from '../journal/capture-journal.ts';
import type { Finding, FindingJournal } from '../journal/finding-journal.ts';
import type { AnalysisReport } from './analysis.ts';
import { findingsOf } from './findings.ts';
import { readColumn, readProcesses } from './results.ts';

/** Told when the rows could not be read or the findings not be written. */
type Failed = (error: unknown) => void;

/**
 * Puts on record what an analysis has found, in the place of what an earlier one found. An analysis that has failed says nothing, so what was
 * found before stays, but for the kernel in the image. Never throws.
 */
export async function recordFindings(
  { request }: JournaledCapture,
  report: AnalysisReport,
  evidence: EvidenceDirectory,
  journal: FindingJournal,
  failed: Failed,
): Promise<readonly Finding[]> {
  try {
    const outputDir = `${evidence.pathOf(request.id)}/analysis`;
    const orNone = (error: unknown): [] => {
      failed(error);
      return [];
    };
    const processes = await readProcesses(outputDir, report).catch(orNone);
    const modules = await readColumn(outputDir, report, 'hiddenModules', 'name').catch(orNone);
    const findings = findingsOf(report, processes, modules);
    if (report.state === 'done' || findings.length > 0) journal.put(request.id, findings);
    return findings;
  } catch (error) {
    failed(error);
    return [];
  }
}
