import { causeChain } from '@kcorder/proto/fault.ts';
import type { ClusterServices } from '../cluster/open.ts';
import type { Change } from '../journal/capture-journal.ts';
import type { Told } from './told.ts';

/** A capture has come to another state: another one may begin, and in a cluster its node and pods get an Event. */
export function whenCaptureChanges(
  { fleet, log }: Told,
  cluster: ClusterServices | undefined,
): (change: Change) => void {
  return ({ capture, event }) => {
    if (event === undefined) return;
    fleet.slots.give();
    cluster
      ?.tell(capture())
      .catch((error: unknown) =>
        log.error({ causes: causeChain(error) }, 'an Event could not be put on a node or pod'),
      );
  };
}
