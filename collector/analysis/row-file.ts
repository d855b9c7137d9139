import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type RowBound, rowBoundOf } from './plugins.ts';

const flushBytes = 256 * 1024;

/** Where a plugin's rows lie once it has ended with rows: one JSON array a line. */
export function rowPath(outputDir: string, plugin: string): string {
  return join(outputDir, `${plugin}.jsonl`);
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
    const draft = `${path}.part`;
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
      if (this.#pendingBytes >= flushBytes) await this.#flush();
    }
  }

  /** Puts the rows in their place; when that fails it has abandoned them. */
  async seal(): Promise<void> {
    try {
      await this.#flush();
      await this.#file.sync();
    } catch (error) {
      await this.abandon();
      throw error;
    }
    await this.#file.close();
    await rename(this.#draft, this.#path);
  }

  async abandon(): Promise<void> {
    await this.#file.close();
    await rm(this.#draft, { force: true });
  }

  async #flush(): Promise<void> {
    const text = this.#pending.join('');
    this.#pending = [];
    this.#pendingBytes = 0;
    await this.#file.appendFile(text);
  }
}
