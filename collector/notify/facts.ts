import type { JournaledCapture } from '../journal/capture-journal.ts';
import { plain } from '../plain.ts';
import type { EventKind, NotifiedEvent, Severity } from './event.ts';
import { severities } from './event.ts';

/** What is known of an event before it is put into words. Nothing of it comes from the node's memory. */
export interface Facts {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly event: EventKind;
  readonly severity: Severity;
  /** May be empty. */
  readonly cluster: string;
  /** How many of the same kind this one stands for. */
  readonly count: number;
  readonly capture?: {
    readonly id: string;
    readonly node: string;
    /** Empty: asked for by somebody. */
    readonly schedule: string;
    /** complete, partial, failed, canceled; empty: not ended. */
    readonly outcome: string;
    /** Why it is partial or failed. */
    readonly reason: string;
  };
  readonly analysis?: { readonly reason: string };
  readonly findings?: readonly { readonly rule: string; readonly severity: Severity; readonly count: number }[];
  readonly runs?: { readonly schedule: string; readonly reasons: Readonly<Record<string, number>> };
  readonly deletion?: { readonly by: string };
  readonly store?: { readonly usedBytes: number; readonly limitBytes: number };
}

const nameLimit = 256;
const wordLimit = 100;

/** The facts of an event. `capture` is the one that the event names. */
export function factsOf(
  event: NotifiedEvent,
  capture: JournaledCapture | undefined,
  at: string,
  cluster: string,
): Facts {
  const base = { at, event: event.kind, severity: severityOf(event), cluster, count: 1 };
  const about = capture === undefined ? base : { ...base, capture: captureFacts(capture) };
  switch (event.kind) {
    case 'capture_complete':
    case 'capture_partial':
    case 'capture_failed':
    case 'evidence_flawed':
    case 'evidence_not_stored':
      return about;
    case 'analysis_failed':
      return { ...about, analysis: { reason: plain(event.reason, wordLimit) } };
    case 'finding':
      return { ...about, findings: counted(event.findings) };
    case 'run_missed': {
      const { schedule, reason, count = 1 } = event;
      const reasons = { [plain(reason, wordLimit)]: count };
      return { ...base, count, runs: { schedule: plain(schedule, nameLimit), reasons } };
    }
    case 'evidence_deleted':
      return { ...about, deletion: { by: plain(event.by, nameLimit) } };
    case 'store_filling':
      return { ...base, store: { usedBytes: event.usedBytes, limitBytes: event.limitBytes } };
  }
}

function captureFacts({ request, state }: JournaledCapture): NonNullable<Facts['capture']> {
  const outcome = 'endedAt' in state ? state.outcome : undefined;
  return {
    id: request.id,
    node: plain(request.node.name, nameLimit),
    schedule: plain(request.schedule?.name ?? '', nameLimit),
    outcome: outcome?.kind ?? '',
    reason: outcome !== undefined && 'reason' in outcome ? outcome.reason : '',
  };
}

function severityOf(event: NotifiedEvent): Severity {
  switch (event.kind) {
    case 'capture_complete':
    case 'evidence_deleted':
      return 'info';
    case 'capture_partial':
    case 'capture_failed':
    case 'analysis_failed':
    case 'run_missed':
    case 'evidence_not_stored':
      return 'warning';
    case 'evidence_flawed':
      return 'critical';
    case 'finding':
      return gravest(event.findings);
    case 'store_filling':
      return event.severity;
  }
}

function gravest(findings: readonly { readonly severity: Severity }[]): Severity {
  return severities.findLast((severity) => findings.some((finding) => finding.severity === severity)) ?? 'info';
}

function counted(findings: readonly { readonly severity: Severity; readonly rule: string }[]) {
  const counts = new Map<string, { rule: string; severity: Severity; count: number }>();
  for (const { rule, severity } of findings) {
    const known = counts.get(`${severity} ${rule}`) ?? { rule: plain(rule, wordLimit), severity, count: 0 };
    counts.set(`${severity} ${rule}`, { ...known, count: known.count + 1 });
  }
  const gravity = (severity: Severity) => severities.indexOf(severity);
  return [...counts.values()]
    .sort((a, b) => gravity(b.severity) - gravity(a.severity) || (a.rule < b.rule ? -1 : 1))
    .slice(0, 20);
}

/** Two of the same topic as one; the time, and the capture that is named, are those of the first. */
export function joinFacts(earlier: Facts, later: Facts): Facts {
  const count = earlier.count + later.count;
  if (earlier.runs === undefined) return { ...earlier, count };
  const reasons: Record<string, number> = { ...earlier.runs.reasons };
  for (const [reason, more] of Object.entries(later.runs?.reasons ?? {}))
    reasons[reason] = (reasons[reason] ?? 0) + more;
  return { ...earlier, count, runs: { ...earlier.runs, reasons } };
}

/** What makes an event the same as one told before: it is told once. Empty for those that are joined instead. */
export function keyOf(event: NotifiedEvent, atMs: number): string {
  switch (event.kind) {
    case 'capture_complete':
    case 'capture_partial':
    case 'capture_failed':
      return `capture/${event.captureId}`;
    case 'analysis_failed':
      return `analysis/${event.captureId}/${event.requestedAt ?? ''}`;
    case 'finding':
      return `finding/${event.captureId}/${JSON.stringify(counted(event.findings).map(({ rule, count }) => [rule, count]))}`;
    case 'evidence_flawed':
    case 'evidence_deleted':
      return `${event.kind}/${event.captureId}`;
    case 'store_filling':
      return `store_filling/${event.severity}/${Math.floor(atMs / storeQuietMs)}`;
    case 'run_missed':
    case 'evidence_not_stored':
      return '';
  }
}

const storeQuietMs = 6 * 3_600_000;

/** What events are joined by, when many of them come at once; undefined: each is told. */
export function topicOf(event: NotifiedEvent): string | undefined {
  if (event.kind === 'run_missed') return `run_missed/${event.schedule}`;
  return event.kind === 'evidence_not_stored' ? event.kind : undefined;
}
