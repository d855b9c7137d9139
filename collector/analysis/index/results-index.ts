import { stat } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import { reportPath } from '../report-file.ts';
import { indexPath } from './index-path.ts';
import type { RowPage, RowQuery } from './query.ts';
import { IndexThread } from './thread.ts';

const buildMs = 15 * 60_000;
const searchMs = 10_000;
/** For what is not a search: reading the report, opening the file. */
const graceMs = 20_000;
/** An analysis that is made again takes far longer than its file. */
const mostBuilds = 3;

/** The results of analyses as SQLite files, one beside each report. Files are made and searched in threads of their own. */
export class ResultsIndex {
  readonly #builder = new IndexThread();
  readonly #reader = new IndexThread();
  readonly #building = new Map<string, Promise<void>>();

  /**
   * Has the file of the results in a directory made, unless it is there, and returns its path. Throws evidence_missing when there are no results,
   * and storage_failed.
   */
  async prepare(outputDir: string, unmask = false): Promise<string> {
    const path = indexPath(outputDir, unmask);
    const running = this.#building.get(path) ?? this.#build(outputDir, path, unmask);
    this.#building.set(path, running);
    await running;
    return path;
  }

  /** Does the same only if the file is older than the report, or missing: a look that waits for no thread. */
  async prepareMissing(outputDir: string, unmask: boolean): Promise<void> {
    const madeAt = (path: string): Promise<bigint> =>
      stat(path, { bigint: true }).then(
        ({ mtimeNs }) => mtimeNs,
        () => 0n,
      );
    const [file, report] = await Promise.all([madeAt(indexPath(outputDir, unmask)), madeAt(reportPath(outputDir))]);
    if (file < report) await this.prepare(outputDir, unmask);
  }

  /** A page of rows. Throws as `prepare` does; invalid_argument; deadline_exceeded; the signal's reason. */
  async page(outputDir: string, query: RowQuery, signal: AbortSignal): Promise<RowPage> {
    const { unmask } = query;
    const path = indexPath(outputDir, unmask);
    for (let builds = 0; builds < mostBuilds; builds += 1) {
      const task = { kind: 'page', outputDir, path, unmask, query, wallMs: searchMs } as const;
      const answer = await this.#reader.run(task, searchMs + graceMs, signal);
      if (answer.kind === 'page') return answer.page;
      await this.prepare(outputDir, unmask);
      signal.throwIfAborted();
    }
    throw new Fault('capture_running', 'the capture is analyzed again and again. Try again when that has ended');
  }

  async close(): Promise<void> {
    await Promise.all([this.#builder.close(), this.#reader.close()]);
  }

  async #build(outputDir: string, path: string, unmask: boolean): Promise<void> {
    try {
      await this.#builder.run({ kind: 'build', outputDir, path, unmask }, buildMs);
    } finally {
      this.#building.delete(path);
    }
  }
}
