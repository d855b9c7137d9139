import { Fault } from '@kcorder/proto/fault.ts';
import type { AccessEvents } from '../access.ts';
import type { Told } from './told.ts';

/** Reactions to access; `record` puts on record whatever is done about certificates and join tokens. */
export interface AccessReactions extends AccessEvents {
  record(actor: string, action: string, detail: unknown): void;
}

/** A node is gone, or a certificate was given, refused, or could not be renewed. */
export function whenAccessChanges({ journal, fleet, metrics, log }: Told): AccessReactions {
  return {
    nodeGone: (uid, name) => {
      log.info({ node: name, uid }, 'node is gone');
      fleet.fleet.detach(
        uid,
        new Fault('unauthenticated', `node ${name} (${uid}) is not part of the cluster any more`),
      );
    },
    certificateRefused: () => metrics.certificateRefused(),
    record: (actor, action, detail) => {
      if (action === 'enrolled' || action === 'certificate_renewed') metrics.enrolmentEnded('enrolled');
      if (action === 'enrolment_refused') metrics.enrolmentEnded('refused');
      journal.captures.recordAct(actor, action, detail);
    },
  };
}
