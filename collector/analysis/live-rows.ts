import { type FileHandle, open } from 'node:fs/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import type { PluginProgress } from './analysis.ts';
import { Devices } from './index/devices.ts';
import { columnNames, placeColumns } from './index/names.ts';
import { RowPlacer } from './index/row-placer.ts';
import { Tasks } from './index/tasks.ts';
import type { LiveAnalysis } from './live.ts';
import { type Mask, maskOf } from './masking.ts';
import { type Cell, isCell } from './protocol.ts';
import { draftRowPath, rowPath } from './row-file.ts';
import { RowReader } from './row-reader.ts';

/** Rows of one plugin as they leave: masked, each with its place. */
export interface LiveBatch {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

const mostRows = 500;
const readBytes = 64 << 10;
/** As results.ts reads at most. */
const mostLineBytes = 16 << 20;

/** The rows of one plugin of an analysis that runs, in order and each once, read from its file by whoever asks: nothing is held of them. */
export class LiveRows implements AsyncDisposable {
  readonly #live: LiveAnalysis;
  readonly #plugin: string;
  readonly #unmask: boolean;
  #file: FileHandle | undefined;
  #offset = 0;
  #sent = 0;
  #maker: RowMaker | undefined;

  constructor(live: LiveAnalysis, plugin: string, unmask: boolean) {
    this.#live = live;
    this.#plugin = plugin;
    this.#unmask = unmask;
  }

  /** Those that are counted and were not taken before; none of a plugin that has failed. Throws capture_running when they are not there any more. */
  async *take({ rowCount, columns, state }: PluginProgress): AsyncGenerator<LiveBatch, void, undefined> {
    if (rowCount <= this.#sent) return;
    await this.#live.flush(this.#plugin);
    const hasEnded = state === 'rows';
    this.#file ??= await this.#open(hasEnded);
    this.#maker ??= new RowMaker(this.#live, this.#plugin, columns, this.#unmask);
    while (this.#sent < rowCount) {
      const most = Math.min(mostRows, rowCount - this.#sent);
      const lines = this.#file === undefined ? [] : await this.#readLines(this.#file, most);
      if (lines.length === 0 && hasEnded) throw gone(this.#plugin);
      // It has ended meanwhile, which is told next.
      if (lines.length === 0) return;
      this.#sent += lines.length;
      yield await this.#maker.batch(lines);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }

  /** Undefined when the plugin has ended meanwhile. An open file stays as it is when it is renamed or removed. */
  async #open(hasEnded: boolean): Promise<FileHandle | undefined> {
    const { outputDir } = this.#live;
    // A file of this name can be of an earlier analysis before this one's is there.
    const path = hasEnded ? rowPath(outputDir, this.#plugin) : draftRowPath(outputDir, this.#plugin);
    try {
      return await open(path, 'r');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The next whole lines, as many as are there and as fit. */
  async #readLines(file: FileHandle, most: number): Promise<string[]> {
    for (let bytes = readBytes; bytes <= mostLineBytes; bytes *= 2) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(bytes), 0, bytes, this.#offset);
      const lines: string[] = [];
      let begin = 0;
      for (let end = buffer.indexOf(10); end >= 0 && end < bytesRead && lines.length < most; ) {
        lines.push(buffer.toString('utf8', begin, end));
        begin = end + 1;
        end = buffer.indexOf(10, begin);
      }
      this.#offset += begin;
      if (lines.length > 0 || bytesRead < bytes) return lines;
    }
    throw new Fault('internal', `a row of ${this.#plugin} is longer than ${mostLineBytes} bytes`);
  }
}

const gone = (plugin: string): Fault =>
  new Fault(
    'capture_running',
    `the rows of ${plugin} were replaced before they were read. Try again, or list its rows`,
  );

/** Makes rows as ListRows has them. */
class RowMaker {
  readonly #live: LiveAnalysis;
  readonly #titles: readonly string[];
  readonly #columns: readonly string[];
  readonly #mask: Mask | undefined;
  readonly #plugin: string;
  /** Of `processes`: each places itself by its own cgroup. */
  readonly #own: Tasks | undefined;
  readonly #cells: RowReader;
  #placer: RowPlacer | undefined;

  constructor(live: LiveAnalysis, plugin: string, titles: readonly string[], unmask: boolean) {
    this.#live = live;
    this.#plugin = plugin;
    this.#titles = titles;
    this.#columns = [...columnNames(titles), ...placeColumns];
    this.#mask = unmask ? undefined : maskOf(plugin, titles);
    this.#cells = new RowReader(titles);
    this.#own = plugin === 'processes' ? new Tasks(live.containers) : undefined;
  }

  async batch(lines: readonly string[]): Promise<LiveBatch> {
    this.#placer ??= await this.#openPlacer();
    return { columns: this.#columns, rows: lines.map((line) => this.#row(line)) };
  }

  #row(line: string): Cell[] {
    const row: unknown = JSON.parse(line);
    if (!Array.isArray(row) || row.length !== this.#titles.length || !row.every(isCell))
      throw new Fault('internal', `the rows of ${this.#plugin} cannot be read while it runs`);
    this.#own?.add(this.#cells, row);
    const cells = this.#mask?.row(row) ?? row;
    return [...cells.map((cell) => (typeof cell === 'string' ? cell.toWellFormed() : cell)), ...this.#place(row)];
  }

  /** What is not known yet is null, not `unknown`: the place may be found when all is there. */
  #place(row: readonly Cell[]): Cell[] {
    const placed = this.#placer?.place(row);
    if (placed === undefined || placed.place.placement === 'unknown') return placeColumns.map(() => null);
    const { placement, namespace, pod, podUid, container } = placed.place;
    return [placement, namespace, pod, podUid, container, placed.ownPid];
  }

  async #openPlacer(): Promise<RowPlacer | undefined> {
    const known = this.#own ?? (await this.#live.tasks());
    const tasks = known ?? new Tasks([]);
    // Devices are known when the analysis has ended.
    const placer = new RowPlacer(this.#plugin, this.#titles, tasks, new Devices(tasks));
    return known !== undefined || placer.keys === 'kernel' ? placer : undefined;
  }
}
