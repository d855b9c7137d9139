import type { MessageInitShape } from '@bufbuild/protobuf';
import { type TimestampSchema, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  AnalysisState,
  type AnalysisStatusSchema,
  type CaptureSchema,
  OutcomeKind,
  type OutcomeSchema,
  Phase,
} from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import type { NodeSchema, PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { AnalysisEnding, AnalysisSpec, CaptureState, Outcome } from '../capture/capture.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { JournaledCapture } from '../journal/capture-journal.ts';
import type { KnownNode } from '../journal/node-journal.ts';
import type { Reanalyses, Reanalysis } from '../journal/reanalyses.ts';
import type { StorageRecord } from '../store/storage-record.ts';
import type { SymbolsStatus } from '../symbols/symbols.ts';
import { presentSpec } from './analysis-spec.ts';
import { presentStorage } from './present-storage.ts';
import { presentStatus } from './present-symbols.ts';

const phases: Record<CaptureState['phase'], Phase> = {
  requested: Phase.REQUESTED,
  acquiring: Phase.ACQUIRING,
  sealing: Phase.SEALING,
  sealed: Phase.SEALED,
  analyzing: Phase.ANALYZING,
  done: Phase.DONE,
};

const time = (iso: string): MessageInitShape<typeof TimestampSchema> => timestampFromDate(new Date(iso));

type StatusInit = Extract<MessageInitShape<typeof AnalysisStatusSchema>, { $typeName?: never }>;

/** What is known of a capture beside its journal. */
export interface CaptureSurroundings {
  /** 0 unless it runs. */
  readonly scannedBytes: number;
  readonly directory: EvidenceDirectory;
  readonly stored: StorageRecord | undefined;
  readonly symbols: SymbolsStatus;
  /** True while others have to end first. */
  readonly waiting: boolean;
  readonly again: Reanalysis | undefined;
  /** Of the latest analysis; undefined: the default profile. */
  readonly spec: AnalysisSpec | undefined;
}

/** A capture as operators see it. */
export function presentCapture(
  capture: JournaledCapture,
  { scannedBytes, directory, stored, symbols, waiting, again, spec }: CaptureSurroundings,
): MessageInitShape<typeof CaptureSchema> {
  const { request, state, durableBytes } = capture;
  const acquired = state.phase === 'requested' ? undefined : state.phase === 'done' ? state.acquired : state;
  const evidence = 'evidence' in state ? state.evidence : undefined;
  const storage =
    evidence === undefined || stored === undefined
      ? undefined
      : presentStorage(stored, directory.imagePath(request.id, evidence));
  return {
    id: request.id,
    nodeName: request.node.name,
    nodeUid: request.node.uid,
    requestedBy: request.requestedBy,
    reason: request.reason,
    phase: phases[state.phase],
    requestedAt: time(request.requestedAt),
    durableBytes: BigInt(durableBytes),
    ceilingBytes: BigInt(request.ceilingBytes),
    scannedBytes: BigInt(scannedBytes),
    sha256: evidence?.sha256 ?? '',
    evidencePath: storage?.location ?? '',
    analysis: { ...presentAnalysisStatus(state, again), ...(spec && { spec: presentSpec(spec) }) },
    symbols: presentStatus(symbols),
    approvedBy: request.approvedBy ?? '',
    waiting,
    schedule: request.schedule?.name ?? '',
    ...(storage === undefined ? {} : { storage }),
    ...('outcome' in state ? { outcome: presentOutcome(state.outcome) } : {}),
    ...('endedAt' in state ? { endedAt: time(state.endedAt) } : {}),
    ...(acquired === undefined ? {} : { firstByteAt: time(acquired.start.openedAt) }),
    leftOutMemory: (acquired?.start.leftOutMemory ?? []).map(({ kind, bytes }) => ({ kind, bytes: BigInt(bytes) })),
    interruptions: (acquired?.interruptions ?? []).map(({ at, offsetBytes, cause }) => ({
      at: time(at),
      offset: BigInt(offsetBytes),
      cause,
    })),
  };
}

export function presentOutcome(outcome: Outcome): MessageInitShape<typeof OutcomeSchema> {
  switch (outcome.kind) {
    case 'complete':
      return { kind: OutcomeKind.COMPLETE };
    case 'partial':
      return { kind: OutcomeKind.PARTIAL, reason: outcome.reason, detail: outcome.detail };
    case 'failed':
      return { kind: OutcomeKind.FAILED, reason: outcome.reason, detail: outcome.detail };
    case 'canceled':
      return { kind: OutcomeKind.CANCELED, reason: 'canceled', detail: `canceled by ${outcome.by}` };
  }
}

/** What the latest analysis of a capture runs, as far as it can be read; undefined for the default profile. */
export function specOf({ request }: JournaledCapture, again: Reanalyses): AnalysisSpec | undefined {
  try {
    return again.get(request.id) === undefined ? request.analysis : again.specOf(request.id);
  } catch {
    // Damage of one row hides nothing else.
    return undefined;
  }
}

/** Of the latest analysis: that of the capture itself, or the one that was asked for after it. */
export function presentAnalysisStatus(state: CaptureState, again: Reanalysis | undefined): StatusInit {
  if (state.phase === 'analyzing') return { state: AnalysisState.RUNNING };
  if (state.phase !== 'done') return { state: AnalysisState.PENDING };
  switch (again?.kind) {
    case undefined:
      return endingOf(state.analysis);
    case 'waiting':
      return { state: AnalysisState.PENDING };
    case 'running':
      return { state: AnalysisState.RUNNING };
    case 'ended':
      return endingOf(again.ending);
  }
}

function endingOf(analysis: AnalysisEnding): StatusInit {
  switch (analysis.kind) {
    case 'done':
      return { state: AnalysisState.DONE };
    case 'failed':
      return {
        ...{ state: AnalysisState.FAILED, reason: analysis.reason, detail: analysis.detail },
        resultsKept: analysis.kept === true,
      };
    case 'skipped':
      return { state: AnalysisState.SKIPPED, reason: analysis.reason, detail: analysis.detail };
  }
}

/** A node as operators see it. */
export function presentNode(
  node: KnownNode,
  online: boolean,
  runningCaptureId: string,
  symbols: SymbolsStatus,
): MessageInitShape<typeof NodeSchema> {
  // Some 3 KB for each node, of use to an analysis only.
  const { ramRanges, vmcoreinfo: _, ...kernel } = node.kernel;
  return {
    name: node.name,
    uid: node.uid,
    online,
    lastSeenAt: time(node.lastSeenAt),
    agentVersion: node.agentVersion,
    kernel: { ...kernel, ramRanges: ramRanges.map(({ start, end }) => ({ start, end })) },
    preflight: {
      refusals: node.refusals.map(({ reason, message }) => ({ reason: reason as PreflightReason, message })),
    },
    runningCaptureId,
    symbols: presentStatus(symbols),
  };
}
