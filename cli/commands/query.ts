import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { endOf, resolveAnalysed } from '../analysis/target.ts';
import { fileProblem } from '../connect/connection.ts';
import { told } from '../download/part-file.ts';
import { fetchResults } from '../download/results.ts';
import { exitCode } from '../exit-code.ts';
import { openRows } from '../output/rows.ts';
import { askFile } from '../query/asker.ts';
import type { Session } from '../session.ts';

/** `kcorder query CAPTURE|NODE SQL`: fetches the results into a private file, asks it on this machine, and removes it. */
export async function query(session: Session, target: string, sql: string, unmask: boolean): Promise<number> {
  const capture = await resolveAnalysed(session, target);
  const dir = await told(tmpdir(), () => mkdtemp(join(tmpdir(), 'kcorder-query-')), 'TMPDIR');
  try {
    const path = join(await realpath(dir), 'results.sqlite');
    await fetchResults(session, { captureId: capture.id, unmask }, path);
    await printAnswer(session, path, sql);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return endOf(session, capture);
}

/** `kcorder query --file FILE SQL`: asks a file that was downloaded. */
export async function queryFile(session: FileSession, file: string, sql: string): Promise<number> {
  const path = await realpath(file).catch((error: unknown) => {
    throw new Fault('invalid_argument', `cannot read ${file}: ${fileProblem(error)}. Choose another file with -f.`);
  });
  await printAnswer(session, path, sql);
  return exitCode.ok;
}

type FileSession = Pick<Session, 'terminal' | 'output' | 'look' | 'warn'>;

async function printAnswer(session: FileSession, path: string, sql: string): Promise<void> {
  await askFile({ path, sql }, session.terminal.interrupt, async ({ columns, rows, warnings }) => {
    const printer = openRows(session, columns);
    for await (const row of rows) printer.print(row);
    printer.end();
    // As `get` has them: an answer from the rows of one process looks like one from those of all.
    for (const warning of warnings) session.warn(warning);
  });
}
