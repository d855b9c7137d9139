import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AnalysisEnding, Outcome, Request } from '../../capture/capture.ts';
import { Images } from '../../custody/images.ts';
import { EvidenceDirectory } from '../../evidence/evidence-directory.ts';
import { CaptureJournal } from '../../journal/capture-journal.ts';
import { openDatabase } from '../../journal/database.ts';
import { Reanalyses } from '../../journal/reanalyses.ts';
import { StorageJournal } from '../../journal/storage-journal.ts';
import { LocalStore } from '../../store/local-store.ts';
import type { Symbols, SymbolsEnd } from '../../symbols/symbols.ts';
import { makeScratch, until } from '../../testing/files.ts';
import { events, request, evidence as sealedEvidence } from '../../testing/states.ts';
import type { Analysis, AnalysisJob, AnalysisReport } from '../analysis.ts';
import { AnalysisQueue } from '../queue.ts';

const ready: SymbolsEnd = {
  kind: 'ready',
  isfPath: '/symbols/k.json',
  source: 'a directory',
  quality: 'dwarf',
  isfSha256: 'ab'.repeat(32),
};
export const report: AnalysisReport = {
  captureId: 'c-1',
  state: 'done',
  reason: '',
  detail: '',
  kernelMismatch: false,
  versions: {},
  isolation: { network: 'none', endsWithCollector: true },
  plugins: [],
  containers: [],
  diagnostics: [],
  startedAt: '2026-01-01T00:00:00.000Z',
  seconds: 1,
};

interface Parts {
  readonly symbols?: SymbolsEnd;
  /** In the place of symbols that are there. */
  readonly find?: (signal: AbortSignal) => Promise<SymbolsEnd>;
  readonly analyze?: Analysis['analyze'];
}

/** A journal with sealed captures, and a queue whose symbols and analyses are made up. */
export function rig(parts: Parts = {}) {
  const scratch = makeScratch();
  const database = openDatabase(scratch.dir);
  const journal = new CaptureJournal(database);
  const jobs: AnalysisJob[] = [];
  const failures: unknown[] = [];
  const endedAgain: [string, AnalysisEnding][] = [];
  const evidence = new EvidenceDirectory(scratch.dir);
  const storage = new StorageJournal(database);
  const images = new Images(evidence, storage, new LocalStore(join(scratch.dir, 'evidence')));
  const symbols: Symbols = { find: async (_kernel, signal) => (await parts.find?.(signal)) ?? parts.symbols ?? ready };
  const analyze: Analysis['analyze'] = async (job, signal) => {
    jobs.push(job);
    return (await parts.analyze?.(job, signal)) ?? report;
  };
  const open = () => {
    const again = new Reanalyses(database);
    const queue = new AnalysisQueue({
      ...{ journal, again, evidence, images, symbols, analysis: { analyze } },
      events: {
        analyzed: () => undefined,
        again: (captureId, ending) => endedAgain.push([captureId, ending]),
        failed: (_captureId, error) => failures.push(error),
      },
    });
    return { again, queue };
  };
  const { again, queue } = open();
  return {
    ...{ database, journal, storage, images, again, queue, open, jobs, failures, endedAgain, dir: scratch.dir },
    imagePath: (id: string) => evidence.imagePath(id, sealedEvidence),
    requested: (id: string) => {
      journal.create({ ...request, id, node: { name: id, uid: `uid-${id}` } }, id, 1e9);
    },
    sealed: (id: string, outcome: Outcome = events.sealed.outcome, changes: Partial<Request> = {}) => {
      const node = { name: id, uid: `uid-${id}` };
      mkdirSync(evidence.pathOf(id), { recursive: true });
      writeFileSync(evidence.imagePath(id, sealedEvidence), Buffer.alloc(sealedEvidence.bytes, id));
      journal.create({ ...request, id, node, ...changes }, id, 1e9);
      for (const event of [events.opened, events.finished, { ...events.sealed, outcome }])
        journal.apply(id, event, 'test');
    },
    done: async (id: string) =>
      await until(() => {
        const { state } = journal.get(id);
        return state.phase === 'done' && state;
      }),
    [Symbol.asyncDispose]: async () => {
      await queue.close();
      database.close();
      scratch[Symbol.dispose]();
    },
  };
}
