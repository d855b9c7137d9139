import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CallContext, Handlers } from '@kcorder/proto/bridge/serve.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import {
  CheckState,
  type CheckStoreResponseSchema,
  type EvidenceService,
  type VerifyEvidenceResponseSchema,
} from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import type { Deletions } from '../custody/deletion.ts';
import type { Verifier } from '../custody/verifier.ts';
import type { Verdict } from '../custody/verify.ts';
import type { EvidenceDirectory } from '../evidence/evidence-directory.ts';
import type { AuditCheck } from '../journal/audit-check.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { StorageJournal } from '../journal/storage-journal.ts';
import type { EvidenceStore } from '../store/store.ts';
import { callerOf } from './gate.ts';
import { actorOf } from './identity.ts';
import { presentStorage } from './present-storage.ts';
import { verifyAudit } from './verify-audit.ts';

export type EvidenceHandlers = Handlers<typeof EvidenceService>;

/** What the handlers reach. */
export interface EvidenceDeps {
  readonly journal: CaptureJournal;
  readonly auditCheck: AuditCheck;
  readonly storage: StorageJournal;
  readonly evidence: EvidenceDirectory;
  readonly store: EvidenceStore;
  readonly deletions: Deletions;
  readonly verifier: Verifier;
}

const reasonLimit = 1024;
/** Ten times a second. */
const progressMs = 100;

/** Makes the handlers. Who does what is on record before it is done. */
export function evidenceHandlers(deps: EvidenceDeps): EvidenceHandlers {
  const { journal, auditCheck, storage, evidence, store, deletions, verifier } = deps;
  const present = (captureId: string) => {
    const sealed = storage.sealed(captureId);
    return { storage: presentStorage(sealed.record, evidence.imagePath(captureId, sealed.evidence)) };
  };
  return {
    deleteEvidence: async ({ captureId, reason }, context) => {
      checkReason(reason, 'it stays in the tombstone');
      await deletions.delete(captureId, actor(context), reason);
      return present(captureId);
    },
    holdEvidence: async ({ captureId, reason }, context) => {
      checkReason(reason, 'it is shown to whoever wants to delete the evidence');
      storage.hold(captureId, actor(context), reason);
      return present(captureId);
    },
    releaseEvidence: async ({ captureId, reason }, context) => {
      checkReason(reason, 'it stays in the audit log');
      storage.release(captureId, actor(context), reason);
      return present(captureId);
    },
    verifyEvidence: ({ captureId }, context) => verifyEvidence(storage, verifier, captureId, context),
    verifyAudit: (request, context) => {
      journal.recordAct(actor(context), 'audit_verified', { noted: String(request.notedSequence) });
      return verifyAudit(journal.audit, auditCheck, request);
    },
    checkStore: (_request, context) => {
      journal.recordAct(actor(context), 'store_checked', { place: store.place });
      return checkStore(store, context.signal);
    },
  };
}

async function* verifyEvidence(
  storage: StorageJournal,
  verifier: Verifier,
  captureId: string,
  context: CallContext,
): AsyncIterable<MessageInitShape<typeof VerifyEvidenceResponseSchema>> {
  const { evidence } = storage.sealed(captureId);
  const totalBytes = BigInt(evidence.bytes);
  storage.noteVerificationAsked(captureId, actor(context));
  const leaving = new AbortController();
  let doneBytes = 0;
  const pace = (bytes: number): void => {
    doneBytes = Math.min(bytes, evidence.bytes);
  };
  const verifying = verifier.verify(captureId, actor(context), pace, AbortSignal.any([context.signal, leaving.signal]));
  // Awaited below; until then a failure is nobody's.
  verifying.catch(() => undefined);
  try {
    while (true) {
      const verdict = await Promise.race([verifying, sleep(progressMs, undefined, { ref: false })]);
      if (verdict === undefined) yield { doneBytes: BigInt(doneBytes), totalBytes };
      else {
        yield { doneBytes: BigInt(doneBytes), totalBytes, verdict: presentVerdict(verdict) };
        return;
      }
    }
  } finally {
    leaving.abort();
  }
}

function presentVerdict(verdict: Verdict): MessageInitShape<typeof VerifyEvidenceResponseSchema>['verdict'] {
  switch (verdict.kind) {
    case 'intact':
      return { intact: true, sha256: verdict.sha256 };
    case 'damaged': {
      const { detail, badFrom, badTo, sha256 } = verdict;
      return { intact: false, detail, badFrom: BigInt(badFrom), badTo: BigInt(badTo), sha256 };
    }
  }
}

const checkStates = { ok: CheckState.OK, failed: CheckState.FAILED, skipped: CheckState.SKIPPED };

async function* checkStore(
  store: EvidenceStore,
  signal: AbortSignal,
): AsyncIterable<MessageInitShape<typeof CheckStoreResponseSchema>> {
  for await (const { step, state, detail } of store.check(signal)) yield { step, state: checkStates[state], detail };
}

function checkReason(reason: string, why: string): void {
  if (reason.trim() === '' || reason.length > reasonLimit)
    throw new Fault('invalid_argument', `a reason of 1 to ${reasonLimit} characters is required: ${why}`);
}

const actor = (context: CallContext): string => actorOf(callerOf(context));
