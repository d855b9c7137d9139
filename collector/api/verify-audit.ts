import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Fault } from '@kcorder/proto/fault.ts';
import type { VerifyAuditRequest, VerifyAuditResponseSchema } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import type { AuditCheck, AuditVerdict } from '../journal/audit-check.ts';
import type { AuditHead, AuditLog } from '../journal/audit-log.ts';

/** Ten times a second. */
const progressMs = 100;

/** Has the whole log followed, and compared with the head that somebody noted. Throws invalid_argument, storage_failed, unavailable. */
export async function* verifyAudit(
  log: AuditLog,
  check: AuditCheck,
  request: VerifyAuditRequest,
): AsyncIterable<MessageInitShape<typeof VerifyAuditResponseSchema>> {
  const noted = notedHead(request);
  const totalRecords = BigInt(log.head().seq);
  const checking = check.whole();
  // Awaited below; until then a failure is nobody's.
  checking.catch(() => undefined);
  while (true) {
    const verdict = await Promise.race([checking, sleep(progressMs, undefined, { ref: false })]);
    const doneRecords = BigInt(verdict?.head.seq ?? check.askedHead.seq);
    if (verdict === undefined) {
      yield { doneRecords: doneRecords > totalRecords ? totalRecords : doneRecords, totalRecords };
      continue;
    }
    yield { doneRecords, totalRecords, verdict: present({ ...verdict, ...against(log, verdict, noted) }) };
    return;
  }
}

function notedHead({ notedSequence, notedSha256 }: VerifyAuditRequest): AuditHead | undefined {
  if (notedSequence === 0n && notedSha256 === '') return undefined;
  if (notedSequence < 1n || notedSequence > BigInt(Number.MAX_SAFE_INTEGER) || !/^[0-9a-f]{12,64}$/.test(notedSha256))
    throw new Fault(
      'invalid_argument',
      'a noted head is the number of a record, from 1, and at least the first 12 hex digits of its hash',
    );
  return { seq: Number(notedSequence), hash: notedSha256 };
}

function against(log: AuditLog, { broken }: AuditVerdict, noted: AuditHead | undefined): Partial<AuditVerdict> {
  const contradiction = noted && broken === undefined ? log.contradiction(noted) : undefined;
  return contradiction === undefined ? {} : { broken: contradiction };
}

function present({ head, broken }: AuditVerdict): MessageInitShape<typeof VerifyAuditResponseSchema>['verdict'] {
  const { seq, hash } = head;
  return {
    intact: broken === undefined,
    detail: broken?.detail ?? '',
    brokenAt: BigInt(broken?.seq ?? 0),
    headSequence: BigInt(seq),
    headSha256: hash,
  };
}
