import { Fault } from '@kcorder/proto/fault.ts';
import { type Storage, StorageSchema } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { documentOf } from '../output/document.ts';
import { storageText } from '../render/storage.ts';
import type { Session } from '../session.ts';

/** Prints where the evidence of a capture is and what keeps it. Throws internal when the collector did not tell. */
export function printStorage(session: Session, captureId: string, storage: Storage | undefined): void {
  if (storage === undefined)
    throw new Fault('internal', `the collector answered without the evidence of capture ${captureId}. Report it`);
  session.print({
    document: () => ({ captureId, storage: documentOf(StorageSchema, storage) }),
    table: (look) => storageText(captureId, storage, look),
  });
}
