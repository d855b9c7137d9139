import type { AnalysisJob, AnalysisProgress, PluginProgress } from './analysis.ts';
import { readTasks } from './index/read-tasks.ts';
import type { Tasks } from './index/tasks.ts';
import { readReport } from './report-file.ts';

/** An analysis that runs, or has just ended, as those see it who watch it. */
export class LiveAnalysis {
  readonly containers: AnalysisJob['containers'];
  readonly #progress: AnalysisProgress;
  /** Has the earlier results, if the analysis adds to them. */
  readonly #resultsDir: string;
  #tasks: Promise<Tasks | undefined> | undefined;
  /** True: nothing changes any more. */
  isOver = false;

  constructor({ containers, outputDir }: Pick<AnalysisJob, 'containers' | 'outputDir'>, progress: AnalysisProgress) {
    this.containers = containers;
    this.#resultsDir = outputDir;
    this.#progress = progress;
  }

  get outputDir(): string {
    return this.#progress.outputDir;
  }

  get plugins(): readonly PluginProgress[] {
    return this.#progress.plugins;
  }

  plugin(name: string): PluginProgress | undefined {
    return this.plugins.find((plugin) => plugin.name === name);
  }

  /** Has the rows of a plugin written to its file as far as they are counted. That they cannot be ends the analysis, not who watches. */
  async flush(plugin: string): Promise<void> {
    await this.#progress.flush(plugin).catch(() => undefined);
  }

  /** The tasks of the image; undefined as long as they are not all known, and where they cannot be read. */
  async tasks(): Promise<Tasks | undefined> {
    const own = this.plugin('processes');
    if (own !== undefined && own.state !== 'rows') return undefined;
    // Once for all who watch: it is as large as the largest process table.
    this.#tasks ??= (own === undefined ? this.#readEarlier() : this.#readTasks()).catch(() => undefined);
    return await this.#tasks;
  }

  async #readEarlier(): Promise<Tasks | undefined> {
    const report = await readReport(this.#resultsDir);
    return report && (await readTasks(this.#resultsDir, report));
  }

  #readTasks(): Promise<Tasks> {
    const plugins = this.plugins.flatMap((plugin) =>
      plugin.state === 'rows' ? [{ ...plugin, state: plugin.state }] : [],
    );
    return readTasks(this.outputDir, { plugins, containers: this.containers });
  }
}

/** The analyses that run, by capture. */
export class LiveAnalyses {
  readonly #running = new Map<string, LiveAnalysis>();
  readonly #watchers = new Set<(captureId: string) => void>();

  /** Undefined unless the plugins of an analysis of this capture are known and run. */
  of(captureId: string): LiveAnalysis | undefined {
    return this.#running.get(captureId);
  }

  /** Runs an analysis that can be watched meanwhile. */
  async run<T>(job: AnalysisJob, analyze: (job: AnalysisJob) => Promise<T>): Promise<T> {
    const { captureId } = job;
    const tell = (): void => this.#tell(captureId);
    const begun = (progress: AnalysisProgress): void => {
      this.#running.set(captureId, new LiveAnalysis(job, progress));
      progress.watch(tell);
      tell();
    };
    try {
      return await analyze({ ...job, begun });
    } finally {
      const live = this.#running.get(captureId);
      if (live !== undefined) live.isOver = true;
      this.#running.delete(captureId);
      tell();
    }
  }

  /** Calls back at every change, until the returned function is called. */
  watch(changed: (captureId: string) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  #tell(captureId: string): void {
    for (const changed of this.#watchers) changed(captureId);
  }
}
