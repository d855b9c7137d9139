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
import type { CaptureState, Outcome } from '../capture/capture.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { JournaledCapture } from '../journal/captures.ts';
import type { KnownNode } from '../journal/nodes.ts';
import type { SymbolsStatus } from '../symbols/symbols.ts';
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

/** A capture as operators see it. */
export function presentCapture(
  capture: JournaledCapture,
  scannedBytes: number,
  directory: EvidenceDirectory,
  symbols: SymbolsStatus,
  waiting: boolean,
): MessageInitShape<typeof CaptureSchema> {
  const { request, state, durableBytes } = capture;
  const acquired = state.phase === 'requested' ? undefined : state.phase === 'done' ? state.acquired : state;
  const evidence = 'evidence' in state ? state.evidence : undefined;
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
    evidencePath: evidence === undefined ? '' : directory.imagePath(request.id, evidence),
    analysis: analysisOf(state),
    symbols: presentStatus(symbols),
    approvedBy: request.approvedBy ?? '',
    waiting,
    ...('outcome' in state ? { outcome: presentOutcome(state.outcome) } : {}),
    ...('endedAt' in state ? { endedAt: time(state.endedAt) } : {}),
    ...(acquired === undefined ? {} : { firstByteAt: time(acquired.start.openedAt) }),
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

function analysisOf(state: CaptureState): MessageInitShape<typeof AnalysisStatusSchema> {
  if (state.phase === 'analyzing') return { state: AnalysisState.RUNNING };
  if (state.phase !== 'done') return { state: AnalysisState.PENDING };
  const { analysis } = state;
  switch (analysis.kind) {
    case 'done':
      return { state: AnalysisState.DONE };
    case 'failed':
      return { state: AnalysisState.FAILED, reason: analysis.reason, detail: analysis.detail };
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
