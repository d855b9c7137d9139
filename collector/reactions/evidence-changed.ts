import type { CustodyEvents } from '../custody/open.ts';
import { storeFilling } from '../notify/event.ts';
import type { Told } from './told.ts';

/** Sealed evidence could not be stored, is damaged, or was deleted, or the room for it fills. */
export function whenEvidenceChanges({ journal, notifier }: Told): CustodyEvents {
  return {
    notStored: (captureId) => notifier.tell({ kind: 'evidence_not_stored', captureId }),
    damaged: (captureId) => notifier.tell({ kind: 'evidence_flawed', captureId }),
    deleted: (captureId, by) => {
      // What was found in it goes with it.
      journal.findings.put(captureId, []);
      if (by !== 'retention') notifier.tell({ kind: 'evidence_deleted', captureId, by });
    },
    roomTaken: (usedBytes, limitBytes) => {
      const event = storeFilling(usedBytes, limitBytes);
      if (event !== undefined) notifier.tell(event);
    },
  };
}
