import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const flushBytes = 256 * 1024;

/** Where a plugin's rows lie once it has ended with rows: one JSON array a line. */
export function rowPath(outputDir: string, plugin: string): string {
  return join(outputDir, `${plugin}.jsonl`);
}

/** The rows of one running plugin. Nothing is visible under its name before `seal`; `abandon` leaves nothing behind. */
export class RowFile {
  readonly #file: FileHandle;
  readonly #draft: string;
  readonly #path: string;
  #pending: string[] = [];
  #pendingBytes = 0;
  rowCount = 0;

  private constructor(file: FileHandle, draft: string, path: string) {
    this.#file = file;
    this.#draft = draft;
    this.#path = path;
  }

  static async open(outputDir: string, plugin: string): Promise<RowFile> {
    const path = rowPath(outputDir, plugin);
    const draft = `${path}.part`;
    return new RowFile(await open(draft, 'w', 0o600), draft, path);
  }

  async append(rows: readonly (readonly unknown[])[]): Promise<void> {
    for (const row of rows) {
      const line = `${JSON.stringify(row)}\n`;
      this.#pending.push(line);
      this.#pendingBytes += line.length;
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
