import { Fault } from '@kcorder/proto/fault.ts';
import { type AuditVerdict, AuditVerdictSchema } from '@kcorder/proto/gen/kcorder/v1/evidence_pb.ts';
import { exitCode } from '../exit-code.ts';
import { leavable } from '../follow/stream.ts';
import { documentOf } from '../output/document.ts';
import { tableOf } from '../output/grid.ts';
import { startLiveLine } from '../output/live-line.ts';
import type { NotedHead } from '../program/arguments.ts';
import type { Session } from '../session.ts';

const columns = ['RECORDS', 'VERDICT', 'SHA-256'].map((title) => ({ title }));

/** `kcorder verify --audit`: has the collector follow its audit log from the first record to the last. */
export async function verifyAudit(session: Session, noted: NotedHead | undefined): Promise<number> {
  const verdict = await follow(session, noted);
  const { intact, detail, brokenAt, headSequence, headSha256 } = verdict;
  session.print({
    document: () => ({ verdict: documentOf(AuditVerdictSchema, verdict) }),
    table: (look) =>
      tableOf(
        columns,
        [[String(headSequence), intact ? 'intact' : { text: `BROKEN at ${brokenAt}`, tone: 'bad' }, headSha256 || '-']],
        { ...look, wide: true },
      ),
  });
  if (intact) return exitCode.ok;
  session.warn(`the audit log is not what was written: ${detail || 'no reason given'}`);
  session.note(
    "Keep a copy of the collector's database, and find out who could write to its volume: docs/runbooks/KcorderAuditChainBroken.md.",
  );
  return exitCode.partial;
}

async function follow({ evidence, terminal, paint }: Session, noted: NotedHead | undefined): Promise<AuditVerdict> {
  let verdict: AuditVerdict | undefined;
  let [doneRecords, totalRecords] = [0n, 0n];
  using _line = startLiveLine(terminal.err, paint, () =>
    totalRecords === 0n ? '' : `following the audit log: ${doneRecords} of ${totalRecords} records`,
  );
  const request = noted === undefined ? {} : { notedSequence: noted.sequence, notedSha256: noted.sha256 };
  for await (const message of leavable((signal) => evidence.verifyAudit(request, { signal }), terminal.interrupt)) {
    ({ doneRecords, totalRecords } = message);
    verdict = message.verdict ?? verdict;
  }
  if (verdict === undefined)
    throw new Fault('unavailable', 'the collector ended the check of its audit log without a verdict. Try again');
  return verdict;
}
