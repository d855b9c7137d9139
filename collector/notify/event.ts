import type { JournaledCapture } from '../journal/capture-journal.ts';

/** In the order of their gravity. */
export const severities = ['info', 'warning', 'critical'] as const;

export type Severity = (typeof severities)[number];

/** What can be told; closed, and documented in docs/notifications.md. */
export const eventKinds = [
  'capture_complete',
  'capture_partial',
  'capture_failed',
  'analysis_failed',
  'finding',
  'run_missed',
  'evidence_flawed',
  'evidence_not_stored',
  'evidence_deleted',
  'store_filling',
] as const;

export type EventKind = (typeof eventKinds)[number];

/** Something that happened and that people may want to be told. */
export type NotifiedEvent =
  | { readonly kind: 'capture_complete' | 'capture_partial' | 'capture_failed'; readonly captureId: string }
  | {
      readonly kind: 'analysis_failed';
      readonly captureId: string;
      /** A word of AnalysisEnding. */
      readonly reason: string;
      /** When an analysis again was asked for, ISO 8601; unset for the first one. */
      readonly requestedAt?: string;
    }
  | {
      readonly kind: 'finding';
      readonly captureId: string;
      /** Only severity and rule are told; informational ones alone are not. */
      readonly findings: readonly { readonly severity: Severity; readonly rule: string }[];
    }
  /** One run of a schedule, or `count` of them, that will not take place. */
  | { readonly kind: 'run_missed'; readonly schedule: string; readonly reason: string; readonly count?: number }
  | { readonly kind: 'evidence_flawed'; readonly captureId: string }
  /** The store has not taken an image; tell it when the trouble begins, not at every try. */
  | { readonly kind: 'evidence_not_stored'; readonly captureId: string }
  /** Somebody deleted evidence; what goes by its retention is not worth telling. */
  | { readonly kind: 'evidence_deleted'; readonly captureId: string; readonly by: string }
  | {
      readonly kind: 'store_filling';
      readonly severity: 'warning' | 'critical';
      readonly usedBytes: number;
      readonly limitBytes: number;
    };

/** From which share of the room on the store is said to be filling. */
const fillingLevels = [
  { severity: 'critical', share: 0.95 },
  { severity: 'warning', share: 0.85 },
] as const;

/** What there is to tell of the room for evidence: undefined while there is enough. Call it as often as you like. */
export function storeFilling(usedBytes: number, limitBytes: number): NotifiedEvent | undefined {
  const level = limitBytes > 0 ? fillingLevels.find(({ share }) => usedBytes >= share * limitBytes) : undefined;
  return level && { kind: 'store_filling', severity: level.severity, usedBytes, limitBytes };
}

/**
 * What there is to tell of a capture after an audit record of it. `action` is the kind of the capture's event. Cancelling is not told: it is
 * somebody's own doing.
 */
export function captureEvent(action: string, { request, state }: JournaledCapture): NotifiedEvent | undefined {
  const captureId = request.id;
  if (action === 'analysis_ended') {
    if (state.phase !== 'done' || state.analysis.kind !== 'failed' || state.analysis.reason === 'canceled')
      return undefined;
    return { kind: 'analysis_failed', captureId, reason: state.analysis.reason };
  }
  if (!endings.has(action) || !('endedAt' in state)) return undefined;
  switch (state.outcome.kind) {
    case 'complete':
      return { kind: 'capture_complete', captureId };
    case 'partial':
      return { kind: 'capture_partial', captureId };
    case 'failed':
      return { kind: 'capture_failed', captureId };
    case 'canceled':
      return undefined;
  }
}

const endings: ReadonlySet<string> = new Set(['refused', 'expired', 'broken', 'canceled', 'sealed', 'lost']);
