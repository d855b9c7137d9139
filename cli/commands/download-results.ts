import { Fault } from '@kcorder/proto/fault.ts';
import { ResultsHeaderSchema } from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import { endOf, resolveAnalysed } from '../analysis/target.ts';
import { fetchResults } from '../download/results.ts';
import { makeWhole } from '../download/whole-file.ts';
import { documentOf } from '../output/document.ts';
import { bytesText } from '../output/figures.ts';
import { tableOf } from '../output/grid.ts';
import type { Session } from '../session.ts';

/** `kcorder download CAPTURE|NODE --results [-f FILE]`: writes all results of a capture as one SQLite file, and keeps it only if its SHA-256 is right. */
export async function downloadResults(
  session: Session,
  target: string,
  file: string | undefined,
  unmask: boolean,
): Promise<number> {
  const capture = await resolveAnalysed(session, target);
  const path = file ?? defaultName(capture.id);
  const header = await makeWhole(path, '-f', (partPath) =>
    fetchResults(session, { captureId: capture.id, unmask }, partPath),
  );
  session.print({
    document: () => ({ file: path, ...Object(documentOf(ResultsHeaderSchema, header)) }),
    table: (look) =>
      tableOf(
        ['FILE', 'SIZE', 'SHA-256'].map((title) => ({ title })),
        [[path, bytesText(header.size), header.sha256]],
        { ...look, wide: true },
      ),
  });
  return endOf(session, capture);
}

function defaultName(captureId: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(captureId)) return `${captureId}.sqlite`;
  throw new Fault('invalid_argument', `capture id "${captureId}" makes no file name. Give one with -f.`);
}
