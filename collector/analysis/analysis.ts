import type { PodContainer } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { PluginSpec } from '../capture/capture.ts';
import type { RangeSource } from '../store/range-source.ts';

/** What a run reads. A later kind reads the pages of a running node. */
export type ImageSource =
  /** Absolute path of a LiME image. */
  | { readonly kind: 'lime'; readonly path: string }
  /** The bytes of a LiME image, wherever they are; it stays open until the analysis has ended. */
  | { readonly kind: 'ranges'; readonly source: RangeSource };

/** The symbols that an image is read with. */
export interface JobSymbols {
  /** Absolute path of an ISF. */
  readonly isfPath: string;
  /** Lower-case hex; a file with another hash is not used. */
  readonly isfSha256: string;
  /** Where they came from, for people. */
  readonly source: string;
  readonly quality: 'dwarf' | 'btf' | 'provided';
}

/** One image to analyse. */
export interface AnalysisJob {
  readonly captureId: string;
  readonly image: ImageSource;
  readonly symbols: JobSymbols;
  /** As the node told them when it registered. */
  readonly kernel: { readonly banner: string; readonly buildId?: string; readonly vmcoreinfo: string };
  /** The containers that the node named; kept in the report for the join with processes. */
  readonly containers: readonly PodContainerNames[];
  /** Absolute path of the directory for the results. What an earlier analysis left there is replaced. */
  readonly outputDir: string;
  /** Default: `defaultPlugins`. */
  readonly plugins?: readonly (string | PluginSpec)[];
  /** True: the rows of other plugins stay as they are. An analysis that fails or is canceled changes nothing then. */
  readonly adds?: boolean;
  /** Aborted to end the analysis with the reason `canceled`: plugins that have ended keep their rows. */
  readonly canceled?: AbortSignal;
  /** Told when the plugins are known, with where their progress is to be seen. */
  readonly begun?: (progress: AnalysisProgress) => void;
}

export const pluginStates = ['rows', 'empty', 'failed', 'unsupported'] as const;

/**
 * How one plugin ended. `rows`: in `<outputDir>/<name>.jsonl`; `empty`: it ran to its end and nothing is there; `unsupported`: this kernel lacks what
 * the plugin needs, or an argument that it needs was not given.
 */
export interface PluginReport {
  readonly name: string;
  readonly state: (typeof pluginStates)[number];
  /**
   * Empty for rows and empty. Of failed: timeout, out_of_memory, output_limit, protocol, signal NAME, exit N, not_run (reason), or the error's text;
   * of unsupported: what is lacking.
   */
  readonly reason: string;
  readonly rowCount: number;
  readonly seconds: number;
  readonly warnings: readonly string[];
  readonly columns: readonly string[];
  /** As text; unset without any. */
  readonly arguments?: Readonly<Record<string, string>>;
  /** Of a plugin that was added later: the directory in `outputDir` that has its rows. */
  readonly directory?: string;
}

/** How far a plugin is: as in its report, which comes in the place of this once it has ended. */
export interface PluginProgress extends Pick<PluginReport, 'name' | 'reason' | 'rowCount' | 'seconds' | 'columns'> {
  readonly state: PluginReport['state'] | 'waiting' | 'running';
}

/** How far the plugins of an analysis are: states and counts, while the rows are in files alone. */
export interface AnalysisProgress {
  /** Where the files are. */
  readonly outputDir: string;
  /** All plugins, in order. */
  readonly plugins: readonly PluginProgress[];
  /** Calls back at every change; there is one who watches. */
  watch(changed: () => void): void;
  /** Has the rows of a running plugin written to its file as far as they are counted. */
  flush(plugin: string): Promise<void>;
}

/** What the runner found out about the kernel in the image. */
export interface ImageKernel {
  /** Text of linux_banner without its line end. */
  readonly banner: string;
  /** Lower-case hex; unset when its notes could not be read. */
  readonly buildId?: string;
  /** 4 or 5. */
  readonly pagingLevels: number;
  /** Addresses, 0x…. */
  readonly kernelOffset: string;
  readonly dtb: string;
}

/** The whole analysis, as it lies in `<outputDir>/report.json`. */
export interface AnalysisReport {
  readonly captureId: string;
  /** `done`: every plugin has ended and at least one of them not by failing. */
  readonly state: 'done' | 'failed';
  /**
   * Empty when done: unconfined, symbols_mismatch, symbols_rejected, image_rejected, image_unreadable, kernel_unknown, runner_unavailable, runner_failed, timeout,
   * out_of_memory, output_limit, protocol, signal NAME, plugins_failed, canceled; of an addition also symbols_changed, versions_changed.
   */
  readonly reason: string;
  /** One sentence for people; empty when done. */
  readonly detail: string;
  /** The banner or the build-id in the image is not of the kernel that the node told. */
  readonly kernelMismatch: boolean;
  /** Unset when the runner did not get so far. */
  readonly kernel?: ImageKernel;
  /** Unset in reports of before they told. */
  readonly symbols?: Omit<JobSymbols, 'isfPath'>;
  /** Versions of the tools by name: volatility, python. */
  readonly versions: Readonly<Record<string, string>>;
  readonly isolation: Isolation;
  readonly plugins: readonly PluginReport[];
  readonly containers: readonly PodContainerNames[];
  /** The plugins that ran last, if they were added to earlier results; unset: all of them. */
  readonly added?: readonly string[];
  /** One entry for each run that broke off: why, and the end of what it wrote to stderr. For the operator of the collector. */
  readonly diagnostics: readonly string[];
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly seconds: number;
}

/** Barriers between the runner and the machine, besides its limits and its empty environment. The runner is the collector's user. */
export interface Isolation {
  /** `none`: in a network namespace without any interface that is up; `shared`: this machine does not let us, it had the collector's network. */
  readonly network: 'none' | 'shared';
  /** Whether the runner is killed when the collector dies, whatever kills it. */
  readonly endsWithCollector: boolean;
  /** Unset when no run told it, and in reports of before they did. */
  readonly confined?: Confined;
}

/** The confinement of the runner, from before it reads the image. */
export interface Confined {
  /**
   * `full`: it reads its own files, the symbols and what was open before, writes no file, and can make no process, socket or signal. `partial`: the
   * kernel has but one of the two parts. `none`: it can do what the collector's user can.
   */
  readonly level: ConfinementLevel;
  /** Version of the kernel's Landlock, 0 without. */
  readonly landlockAbi: number;
  /** True when system calls were filtered. */
  readonly seccomp: boolean;
}

/** From the least. */
export const confinementLevels = ['none', 'partial', 'full'] as const;

export type ConfinementLevel = (typeof confinementLevels)[number];

/** A container that the node or the API server named, as plain text. */
export type PodContainerNames = Pick<
  PodContainer,
  'podNamespace' | 'podName' | 'podUid' | 'containerName' | 'containerId' | 'configHash'
>;

/** Analyses images. */
export interface Analysis {
  /**
   * Runs the plugins over one image and leaves their rows and the report in the job's directory. The report of an addition that failed is returned
   * only, and the earlier results stay as they were. Endings of any kind are in the report; throws
   * Fault storage_failed when the results cannot be written, and the signal's reason after an abort, with nothing of the run left behind.
   */
  analyze(job: AnalysisJob, signal: AbortSignal): Promise<AnalysisReport>;
}
