import type { AnalysisEnding } from '../capture/capture.ts';
import type { SymbolsEnd } from '../symbols/symbols.ts';
import { canceledReason } from './run.ts';

/** Of an analysis that somebody stopped. */
export const canceledBy = (by: unknown): AnalysisEnding => ({
  kind: 'failed',
  reason: canceledReason,
  detail: `canceled by ${String(by)}`,
});

/** Of an analysis that could not begin. */
export function withoutSymbols(symbols: Exclude<SymbolsEnd, { kind: 'ready' }>): AnalysisEnding {
  switch (symbols.kind) {
    case 'missing':
      return {
        kind: 'failed',
        reason: 'symbols_missing',
        detail: `${symbols.advice} Looked in: ${symbols.looked.join('; ')}`,
      };
    case 'mismatch':
      return { kind: 'failed', reason: 'symbols_mismatch', detail: symbols.detail };
    case 'rejected':
      return { kind: 'failed', reason: 'symbols_rejected', detail: symbols.detail };
    case 'unsupported':
      return {
        kind: 'failed',
        reason: 'architecture_unsupported',
        detail: `Volatility cannot analyze ${symbols.architecture}`,
      };
  }
}
