import { causeChain } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { OpenedAnalysis } from '../analysis/open.ts';
import type { ClusterServices } from '../cluster/open.ts';
import type { CaptureSlots } from '../fleet/capture-slots.ts';
import type { Change } from '../journal/captures.ts';

/** Everything that waits for captures. */
export interface CaptureReactionDeps {
  readonly analysis: OpenedAnalysis;
  readonly slots: CaptureSlots;
  /** Unset outside of a cluster. */
  readonly cluster: ClusterServices | undefined;
  readonly log: Logger;
}

/** A capture has come to another state: it may be analyzed, another may begin, and its node and pods get an Event. */
export function whenCaptureChanges({ analysis, slots, cluster, log }: CaptureReactionDeps): (change: Change) => void {
  return ({ capture, event }) => {
    if (event === undefined) return;
    analysis.wake();
    slots.give();
    cluster
      ?.tell(capture())
      .catch((error: unknown) =>
        log.error({ causes: causeChain(error) }, 'an Event could not be put on a node or pod'),
      );
  };
}
