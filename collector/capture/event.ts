import type { AcquisitionEnd, AcquisitionStart, AnalysisEnding, Evidence, Outcome } from './capture.ts';

/** Why an acquisition that has begun cannot go on. */
export type BreakReason = 'acquirer_died' | 'ceiling_exceeded' | 'integrity_conflict' | 'network_stall';

/** What can happen to a capture. `at` is ISO 8601, UTC, by the collector's clock. */
export type CaptureEvent =
  /** The agent cannot or will not acquire. */
  | { readonly kind: 'refused'; readonly at: string; readonly detail: string }
  /** Nobody took up the order in time. */
  | { readonly kind: 'expired'; readonly at: string; readonly detail: string }
  /** The agent opened an upload stream. */
  | {
      readonly kind: 'opened';
      readonly at: string;
      readonly start: AcquisitionStart;
      readonly attempt: number;
      readonly durableBytes: number;
      readonly cause: string;
      /** The stream before it worked, and was left for a newer connection: nothing was interrupted. */
      readonly moved?: boolean;
    }
  /** The agent says that the acquirer has ended and that every byte was sent. */
  | { readonly kind: 'finished'; readonly at: string; readonly end: AcquisitionEnd; readonly durableBytes: number }
  /** The acquisition cannot go on. */
  | { readonly kind: 'broken'; readonly at: string; readonly reason: BreakReason; readonly detail: string }
  | { readonly kind: 'canceled'; readonly at: string; readonly by: string }
  /** The image is on disk for good; `outcome` is the judgement over what is really stored. */
  | { readonly kind: 'sealed'; readonly at: string; readonly evidence: Evidence; readonly outcome: Outcome }
  /** What was acquired could not be sealed. */
  | { readonly kind: 'lost'; readonly at: string; readonly outcome: Outcome }
  | { readonly kind: 'analysis_started'; readonly at: string }
  | { readonly kind: 'analysis_ended'; readonly at: string; readonly ending: AnalysisEnding };
