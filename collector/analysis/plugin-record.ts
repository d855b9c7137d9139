import type { AnalysisProgress, PluginProgress, PluginReport } from './analysis.ts';
import { cutText, ProtocolError, type RunnerLine } from './protocol.ts';
import { RowFile } from './row-file.ts';

type PluginLine = Extract<RunnerLine, { type: 'started' | 'rows' | 'ended' }>;

const maxWarnings = 100;
const maxTextLength = 1000;

interface Running {
  readonly name: string;
  readonly startedMs: number;
  columns: readonly string[] | undefined;
  rows: RowFile | undefined;
}

/**
 * What has become of each plugin, over as many runs as it takes. Rows of a plugin that fails are thrown away: a part of them would look like
 * all of them.
 */
export class PluginRecord implements AnalysisProgress {
  readonly outputDir: string;
  readonly #order: readonly string[];
  readonly #reports = new Map<string, PluginReport>();
  readonly #running = new Map<string, Running>();
  #changed: () => void = () => undefined;

  constructor(outputDir: string, plugins: readonly string[]) {
    this.outputDir = outputDir;
    this.#order = plugins;
  }

  /** Plugins without an end, in order. */
  get remaining(): readonly string[] {
    return this.#order.filter((name) => !this.#reports.has(name));
  }

  get reports(): readonly PluginReport[] {
    return this.#order.flatMap((name) => this.#reports.get(name) ?? []);
  }

  get plugins(): readonly PluginProgress[] {
    return this.#order.map((name) => this.#reports.get(name) ?? progressOf(name, this.#running.get(name)));
  }

  watch(changed: () => void): void {
    this.#changed = changed;
  }

  async flush(plugin: string): Promise<void> {
    await this.#running.get(plugin)?.rows?.flush();
  }

  /** Takes a line of the runner. Throws ProtocolError when it does not follow from the lines before. */
  async take(line: PluginLine): Promise<void> {
    if (line.type === 'started') {
      this.#start(line.plugin);
      return;
    }
    const running = this.#running.get(line.plugin);
    if (running === undefined)
      throw new ProtocolError(`the runner printed ${line.type} of ${line.plugin}, which was not running`);
    if (line.type === 'rows') await this.#append(running, line.columns, line.rows);
    else await this.#end(running, line);
  }

  /** Ends a plugin as failed, whether it has started or not. */
  async fail(plugin: string, reason: string): Promise<void> {
    const running = this.#running.get(plugin) ?? begin(plugin);
    await this.#close(running, {
      state: 'failed',
      reason,
      rowCount: 0,
      seconds: Math.round(performance.now() - running.startedMs) / 1000,
      warnings: [],
    });
  }

  /** Ends all plugins that run as failed. */
  async failRunning(reason: string): Promise<void> {
    for (const name of [...this.#running.keys()]) await this.fail(name, reason);
  }

  /** Ends every plugin that has no end yet as failed. */
  failRemaining(reason: string): void {
    for (const name of this.remaining) {
      this.#reports.set(name, { name, state: 'failed', reason, rowCount: 0, seconds: 0, warnings: [], columns: [] });
    }
    this.#changed();
  }

  #start(plugin: string): void {
    if (this.#running.has(plugin) || !this.remaining.includes(plugin))
      throw new ProtocolError(`the runner started ${plugin}, which was not to be run`);
    this.#running.set(plugin, begin(plugin));
    this.#changed();
  }

  async #append(running: Running, columns: readonly string[], rows: readonly (readonly unknown[])[]): Promise<void> {
    running.columns ??= columns;
    if (JSON.stringify(running.columns) !== JSON.stringify(columns)) {
      throw new ProtocolError(`the runner changed the columns of ${running.name} between its rows`);
    }
    running.rows ??= await RowFile.open(this.outputDir, running.name);
    await running.rows.append(rows);
    this.#changed();
  }

  async #end(running: Running, line: Extract<PluginLine, { type: 'ended' }>): Promise<void> {
    const { rowCount: kept = 0, offered: came = 0 } = running.rows ?? {};
    const { state, seconds } = line;
    if (state === 'failed' || state === 'unsupported') {
      const reason = line.reason || 'no reason given';
      await this.#close(running, { state, reason, rowCount: 0, seconds, warnings: line.warnings });
      return;
    }
    if (line.rowCount !== came || (state === 'rows') !== kept > 0) {
      throw new ProtocolError(`the runner counted ${line.rowCount} rows (${state}) of ${running.name}, ${came} came`);
    }
    const truncated = kept < came ? [`truncated: the first ${kept} of ${came} rows are kept`] : [];
    const warnings = [...truncated, ...line.warnings];
    await this.#close(running, { state, reason: '', rowCount: kept, seconds, warnings });
  }

  async #close(running: Running, end: Omit<PluginReport, 'name' | 'columns'>): Promise<void> {
    try {
      if (end.state === 'rows') await running.rows?.seal();
      else await running.rows?.abandon();
    } finally {
      this.#running.delete(running.name);
    }
    this.#reports.set(running.name, {
      name: running.name,
      ...end,
      reason: cutText(end.reason, maxTextLength),
      warnings: shorten(end.warnings),
      columns: running.columns ?? [],
    });
    this.#changed();
  }
}

function progressOf(name: string, running: Running | undefined): PluginProgress {
  const { columns = [], rows, startedMs } = running ?? {};
  const seconds = startedMs === undefined ? 0 : Math.round(performance.now() - startedMs) / 1000;
  const state = running === undefined ? 'waiting' : 'running';
  return { name, state, reason: '', rowCount: rows?.rowCount ?? 0, seconds, columns };
}

function begin(name: string): Running {
  return { name, startedMs: performance.now(), columns: undefined, rows: undefined };
}

/** The report is held in memory: what a hostile image makes the runner say is kept within bounds. */
function shorten(warnings: readonly string[]): string[] {
  const kept = warnings.slice(0, maxWarnings).map((warning) => cutText(warning, maxTextLength));
  return kept.length === warnings.length ? kept : [...kept, `and ${warnings.length - kept.length} more warnings`];
}
