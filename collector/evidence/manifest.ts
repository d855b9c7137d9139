import type { AcquisitionEnd, Interruption, KeptStart, NamedContainer, Outcome, Request } from '../capture/capture.ts';
import { canonicalJson } from './canonical-json.ts';
import { type ImageDigest, segmentBytes } from './digest.ts';

/** One step of the chain of custody. */
export interface CustodyEvent {
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly detail: unknown;
}

/** Everything that is known of an image when it is sealed. */
export interface Sealing {
  readonly collectorVersion: string;
  readonly request: Request;
  readonly start: KeptStart;
  readonly containers: readonly NamedContainer[];
  readonly end: AcquisitionEnd | undefined;
  readonly interruptions: readonly Interruption[];
  readonly outcome: Outcome;
  readonly file: string;
  readonly bytes: number;
  readonly digest: ImageDigest;
  readonly sealedAt: string;
  readonly custody: readonly CustodyEvent[];
}

const smear =
  'A live system changes while its memory is read: pages were read at different moments between the first and the last byte, so structures that span pages may contradict each other.';

/** The acquisition record: canonical JSON, one line, written once. Times are ISO 8601, UTC; addresses are hex strings. */
export function manifestOf(sealing: Sealing): string {
  const { request, start, end, digest } = sealing;
  return `${canonicalJson({
    format: 'kcorder-manifest/1',
    capture: {
      id: request.id,
      reason: request.reason,
      requestedBy: request.requestedBy,
      requestedAt: request.requestedAt,
      approvedBy: request.approvedBy,
      pods: request.pods,
      schedule: request.schedule,
    },
    node: { ...request.node, kernel: request.kernel, bootIdAtStart: start.bootId },
    tools: {
      collector: sealing.collectorVersion,
      agent: request.agentVersion,
      acquirer: start.acquirer,
      argv: start.argv,
    },
    acquisition: {
      id: start.acquisitionId,
      clockOffsetMs: start.clockOffsetMs,
      startedAtAgent: start.startedAtAgent,
      openedAt: start.openedAt,
      leftOutMemory: start.leftOutMemory,
      end,
      interruptions: sealing.interruptions,
    },
    containers: sealing.containers,
    inventoryAsOf: start.inventoryAsOf,
    outcome: sealing.outcome,
    image: {
      file: sealing.file,
      format: 'lime',
      bytes: sealing.bytes,
      sha256: digest.sha256,
      segmentBytes,
      prefixSha256: digest.prefixes,
    },
    sealedAt: sealing.sealedAt,
    custody: sealing.custody,
    smear,
  })}\n`;
}
