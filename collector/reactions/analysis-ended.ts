import { causeChain } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { AnalysisReport } from '../analysis/analysis.ts';
import type { QueueEvents } from '../analysis/queue.ts';
import { recordFindings } from '../analysis/record-findings.ts';
import type { SymbolCache } from '../symbols/cache/cache.ts';
import type { Told } from './told.ts';

/** The plugins of an analysis have run, or it has ended without. */
export function whenAnalysisEnds(
  { journal, evidence, metrics, notifier, log }: Told,
  symbols: SymbolCache,
): QueueEvents {
  return {
    analyzed: async (capture, report) => {
      metrics.analysisRan(report);
      const { id: captureId } = capture.request;
      const { state, reason, seconds } = report;
      log.info({ capture: captureId, state, reason, seconds }, 'analysis ended');
      const found = await recordFindings(capture, report, evidence, journal.findings, (error) =>
        log.error({ capture: captureId, causes: causeChain(error) }, 'findings could not be put on record'),
      );
      if (found.length > 0) notifier.tell({ kind: 'finding', captureId, findings: found });
      await noteBanner(symbols, report, log);
    },
    again: (captureId, ending) => {
      metrics.analysisAgainEnded(ending);
      // Canceling is somebody's own doing.
      if (ending.kind !== 'failed' || ending.reason === 'canceled') return;
      const requestedAt = new Date().toISOString();
      notifier.tell({ kind: 'analysis_failed', captureId, reason: ending.reason, requestedAt });
    },
    failed: (captureId, error) => log.error({ capture: captureId, causes: causeChain(error) }, 'analysis broke down'),
  };
}

/** The image's own banner is that of the ISF from now on, for any Volatility that looks for one by the image. */
async function noteBanner(symbols: SymbolCache, report: AnalysisReport, log: Logger): Promise<void> {
  const { kernel, symbols: used, kernelMismatch } = report;
  if (kernel === undefined || used === undefined || kernelMismatch) return;
  await symbols
    .noteImageBanner(used.isfSha256, kernel.banner)
    .catch((error: unknown) => log.error({ causes: causeChain(error) }, 'the banner of an image could not be noted'));
}
