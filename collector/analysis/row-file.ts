import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PluginReport } from './analysis.ts';
import { type RowBound, rowBoundOf } from './plugins.ts';

const flushBytes = 256 * 1024;

/** Where a plugin's rows lie once it has ended with rows: one JSON array a line. */
export function rowPath(outputDir: string, plugin: string): string {
  return join(outputDir, `${plugin}.jsonl`);
}

/** The same of a plugin in a report. */
export function reportedRowPath(outputDir: string, { name, directory = '' }: ReportedPlugin): string {
  return rowPath(join(outputDir, directory), name);
}

type ReportedPlugin = Pick<PluginReport, 'name' | 'directory'>;

/** Where they lie until then. */
export function draftRowPath(outputDir: string, plugin: string): string {
  return `${rowPath(outputDir, plugin)}.part`;
}

/**
 * The rows of one running plugin, up to its bound: none is kept after the first that does not fit. Nothing is visible under its name before `seal`;
 * `abandon` leaves nothing behind.
 */
export class RowFile {
  readonly #file: FileHandle;
  readonly #draft: string;
  readonly #path: string;
  #pending: string[] = [];
  #pendingBytes = 0;
  #written: Promise<void> = Promise.resolve();
  #bytes = 0;
  #full = false;
  readonly #bound: RowBound;
  /** Rows that are kept. */
  rowCount = 0;
  /** Rows that came. */
  offered = 0;

  private constructor(file: FileHandle, draft: string, path: string, bound: RowBound) {
    this.#file = file;
    this.#draft = draft;
    this.#path = path;
    this.#bound = bound;
  }

  static async open(outputDir: string, plugin: string): Promise<RowFile> {
    const path = rowPath(outputDir, plugin);
    const draft = draftRowPath(outputDir, plugin);
    return new RowFile(await open(draft, 'w', 0o600), draft, path, rowBoundOf(plugin));
  }

  async append(rows: readonly (readonly unknown[])[]): Promise<void> {
    this.offered += rows.length;
    for (const row of rows) {
      if (this.#full) return;
      const line = `${JSON.stringify(row)}\n`;
      const bytes = Buffer.byteLength(line);
      this.#full = this.rowCount === this.#bound.rows || this.#bytes + bytes > this.#bound.bytes;
      if (this.#full) return;
      this.#pending.push(line);
      this.#pendingBytes += bytes;
      this.#bytes += bytes;
      this.rowCount += 1;
      if (this.#pendingBytes >= flushBytes) await this.flush();
    }
  }

  /** Has all rows that are kept written to the file, for whoever reads it. */
  flush(): Promise<void> {
    const text = this.#pending.join('');
    this.#pending = [];
    this.#pendingBytes = 0;
    // One write after the other: a reader asks for it while the plugin goes on.
    if (text !== '') this.#written = this.#written.then(() => this.#file.appendFile(text));
    return this.#written;
  }

  /** Puts the rows in their place; when that fails it has abandoned them. */
  async seal(): Promise<void> {
    try {
      await this.flush();
      await this.#file.sync();
    } catch (error) {
      await this.abandon();
      throw error;
    }
    await this.#file.close();
    await rename(this.#draft, this.#path);
  }

  async abandon(): Promise<void> {
    await this.#written.catch(() => undefined);
    await this.#file.close();
    await rm(this.#draft, { force: true });
  }
}
