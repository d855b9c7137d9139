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
import { actorOf, payerOf } from './identity.ts';
import { Places, type PlacesOf } from './places.ts';
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
/** Each reads and hashes a whole image as fast as it can. */
const verifications: PlacesOf = { refused: 'the evidence was not verified', doing: 'verifying evidence', most: 2 };
/** Each writes, reads and deletes an object. */
const storeChecks: PlacesOf = { refused: 'the store was not checked', doing: 'checking the store', most: 4 };
/** Ten times a second. */
const progressMs = 100;

/** Makes the handlers. Who does what is on record before it is done. */
export function evidenceHandlers(deps: EvidenceDeps): EvidenceHandlers {
  const { journal, auditCheck, storage, evidence, deletions, verifier } = deps;
  const [verifying, checking] = [new Places(verifications), new Places(storeChecks)];
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
    verifyEvidence: ({ captureId }, context) => verifyEvidence({ storage, verifier, verifying }, captureId, context),
    verifyAudit: (request, context) => {
      journal.recordAct(actor(context), 'audit_verified', { noted: String(request.notedSequence) });
      return verifyAudit(journal.audit, auditCheck, request);
    },
    checkStore: (_request, context) => checkStore(deps, checking, context),
  };
}

async function* verifyEvidence(
  { storage, verifier, verifying: places }: { storage: StorageJournal; verifier: Verifier; verifying: Places },
  captureId: string,
  context: CallContext,
): AsyncIterable<MessageInitShape<typeof VerifyEvidenceResponseSchema>> {
  const { evidence } = storage.sealed(captureId);
  using taken = new DisposableStack();
  taken.use(places.take(payer(context)));
  const totalBytes = BigInt(evidence.bytes);
  storage.noteVerificationAsked(captureId, actor(context));
  const place = taken.move();
  const leaving = new AbortController();
  let doneBytes = 0;
  const pace = (bytes: number): void => {
    doneBytes = Math.min(bytes, evidence.bytes);
  };
  const signal = AbortSignal.any([context.signal, leaving.signal]);
  const verifying = verifier.verify(captureId, actor(context), pace, signal).finally(() => {
    // Once it is read: whoever does not take the verdict keeps nobody else waiting.
    place[Symbol.dispose]();
  });
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
  { store, journal }: Pick<EvidenceDeps, 'store' | 'journal'>,
  places: Places,
  context: CallContext,
): AsyncIterable<MessageInitShape<typeof CheckStoreResponseSchema>> {
  using _place = places.take(payer(context));
  journal.recordAct(actor(context), 'store_checked', { place: store.place });
  for await (const { step, state, detail } of store.check(context.signal))
    yield { step, state: checkStates[state], detail };
}

function checkReason(reason: string, why: string): void {
  if (reason.trim() === '' || reason.length > reasonLimit)
    throw new Fault('invalid_argument', `a reason of 1 to ${reasonLimit} characters is required: ${why}`);
}

const actor = (context: CallContext): string => actorOf(callerOf(context));
const payer = (context: CallContext): string => payerOf(callerOf(context));
