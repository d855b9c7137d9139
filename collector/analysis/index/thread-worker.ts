import { rm } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import { buildIndex } from './build.ts';
import { openIndex } from './opened-index.ts';
import { readPage } from './page.ts';
import { readMarkedReport } from './report-mark.ts';
import type { ThreadAnswer, ThreadData, ThreadTask } from './tasks-of-thread.ts';

const { stop } = workerData as ThreadData;

async function perform(task: ThreadTask): Promise<ThreadAnswer> {
  const { outputDir, path, unmask } = task;
  const { sha256 } = await readMarkedReport(outputDir);
  const database = openIndex(path, sha256, unmask);
  try {
    if (task.kind === 'build') {
      if (database === undefined) await buildIndex(outputDir, path, { unmask });
      return { kind: 'built' };
    }
    if (database === undefined) return { kind: 'stale' };
    return { kind: 'page', page: readPage(database, task.query, sha256, ticker(task.wallMs)) };
  } catch (error) {
    if (!isDamage(error)) throw error;
    await rm(path, { force: true });
    return { kind: 'stale' };
  } finally {
    database?.close();
  }
}

/** SQLITE_CORRUPT or SQLITE_NOTADB: rows are still there of which the file can be made anew. */
function isDamage(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  return code === 11 || code === 26;
}

function ticker(wallMs: number): () => void {
  const endMs = performance.now() + wallMs;
  return () => {
    if (Atomics.load(stop, 0) === 1) throw new Fault('canceled', 'the search was canceled');
    if (performance.now() > endMs)
      throw new Fault(
        'deadline_exceeded',
        `the search took longer than ${wallMs / 1000} s and was ended. Name a pod or a pid, or fetch the file with 'kcorder download --results'`,
      );
  };
}

parentPort?.on('message', (task: ThreadTask) => {
  perform(task).then(
    (answer) => parentPort?.postMessage(answer),
    (error: unknown) => {
      const { code, message } = Fault.from(error);
      parentPort?.postMessage({ kind: 'fault', code, message, causes: causeChain(error) } satisfies ThreadAnswer);
    },
  );
});
