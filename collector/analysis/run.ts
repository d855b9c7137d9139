import { access, constants } from 'node:fs/promises';
import type { RangeSource } from '../store/range-source.ts';
import type { AnalysisJob, Confined, ImageKernel } from './analysis.ts';
import type { ChildEnd } from './child.ts';
import { LineTooLong, readLines } from './lines.ts';
import type { OutputBudget } from './output-budget.ts';
import { runnerPlugins } from './plugin-arguments.ts';
import type { PluginRecord } from './plugin-record.ts';
import type { RunnerPlugin } from './plugins.ts';
import { defaultPlugins } from './profiles.ts';
import { ProtocolError, parseLine, type RunnerJob, type RunnerLine } from './protocol.ts';
import { serveRanges } from './range-server.ts';
import { type Runner, type RunnerSettings, startRunner } from './runner.ts';
import { Slot, type SlotRun } from './slot.ts';
import type { Spares } from './spares.ts';
import { Watch } from './watch.ts';

export interface RunSettings extends RunnerSettings {
  readonly spares: Spares | undefined;
  /** What is left of the whole analysis' time. */
  readonly wallMs: number;
}

/** Of an analysis that somebody ended. */
export const canceledReason = 'canceled';

/** Reasons after which no other run is begun, whatever has ended by then. */
export const endsAll: ReadonlySet<string> = new Set(['image_unreadable', canceledReason]);

export interface Break {
  readonly reason: string;
  readonly detail: string;
}

/** What one run of the runner came to, besides what it did to the record. */
export interface RunEnd {
  /** What the parent and each worker told. */
  readonly confined: Confined[];
  kernel?: ImageKernel;
  kernelMismatch: boolean;
  versions: Readonly<Record<string, string>>;
  /** Workers that broke off. */
  readonly breaks: Break[];
  /** The end of what was written to stderr. */
  stderr: string;
  /** Unset when it reached its last line. `whole`: nothing can come of another run either. */
  broken?: Break & { readonly whole: boolean };
}

/** Runs the remaining plugins of the record until the runner ends or is killed. Its directory and its processes are gone afterwards. */
export async function runPlugins(
  job: AnalysisJob,
  record: PluginRecord,
  budget: OutputBudget,
  settings: RunSettings,
  signal: AbortSignal,
): Promise<RunEnd> {
  const started = await start(job, record.remaining, settings);
  if ('broken' in started) return { ...newEnd(), broken: { ...started.broken, whole: true } };
  await using runner = started;
  return await new Run(runner, record, budget, settings, signal).follow(job);
}

async function start(
  { image, symbols, outputDir }: AnalysisJob,
  plugins: readonly string[],
  settings: RunSettings,
): Promise<Runner | { readonly broken: Break }> {
  try {
    if (image.kind === 'lime') await access(image.path, constants.R_OK);
  } catch (error) {
    return { broken: { reason: 'image_rejected', detail: `the image cannot be opened: ${textOf(error)}` } };
  }
  const spare = await settings.spares?.take(symbols);
  if (spare !== undefined) return spare;
  const images = image.kind === 'lime' ? image.path : '/nonexistent';
  try {
    return await startRunner(settings, { symbols, plugins, images, dir: outputDir, copyDir: outputDir });
  } catch (error) {
    const { python, entry } = settings.program;
    return { broken: { reason: 'runner_unavailable', detail: `${python} cannot run ${entry}: ${textOf(error)}` } };
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const newEnd = (): RunEnd => ({ confined: [], kernelMismatch: false, versions: {}, breaks: [], stderr: '' });

class Run {
  readonly #runner: Runner;
  readonly #record: PluginRecord;
  readonly #signal: AbortSignal;
  readonly #settings: RunSettings;
  readonly #watch: Watch;
  readonly #slots: readonly Slot[];
  #queue: readonly RunnerPlugin[] = [];
  readonly #end = newEnd();
  #last: Extract<RunnerLine, { type: 'fatal' | 'done' }> | undefined;
  #early: Break | undefined;

  constructor(runner: Runner, record: PluginRecord, budget: OutputBudget, settings: RunSettings, signal: AbortSignal) {
    this.#runner = runner;
    this.#record = record;
    this.#settings = settings;
    this.#signal = signal;
    this.#watch = new Watch(runner.child, settings.limits, settings.wallMs, signal);
    const slotRun = this.#slotRun(budget);
    const { sockets } = runner.child;
    this.#slots = sockets.filter((_, index) => index % 2 === 0).map((lines) => new Slot(lines, slotRun));
  }

  async follow(job: AnalysisJob): Promise<RunEnd> {
    const { child } = this.#runner;
    const { canceled } = job;
    const cancel = () => this.#watch.stop(canceledReason, 'the analysis was canceled');
    const served = new AbortController();
    const { image } = job;
    const remaining = new Set(this.#record.remaining);
    this.#queue = runnerPlugins(job.plugins ?? defaultPlugins).filter(({ name }) => remaining.has(name));
    try {
      canceled?.addEventListener('abort', cancel, { once: true });
      if (canceled?.aborted === true) cancel();
      const open =
        image.kind === 'ranges' &&
        (await this.#runner.copy.keep(image.source, served.signal, this.#settings.freeBytes));
      child.stdin.end(`${JSON.stringify(runnerJob(job))}\n`);
      const ranges = open === false ? undefined : this.#serve(open, served.signal);
      const followed = this.#slots.map((slot) => slot.follow());
      await Promise.all([this.#followParent(), ...followed]).catch(async (error: unknown) => {
        child.kill();
        await Promise.allSettled(followed);
        throw error;
      });
      served.abort();
      await ranges;
      return this.#judge(await child.ended);
    } finally {
      child.kill();
      canceled?.removeEventListener('abort', cancel);
      this.#watch.end();
      served.abort();
    }
  }

  /** What a run came to whose processes have ended. */
  #judge(exit: ChildEnd): RunEnd {
    this.#signal.throwIfAborted();
    const end = { ...this.#end, breaks: [...this.#end.breaks], stderr: exit.stderr };
    const last = this.#last;
    const { stopped } = this.#watch;
    const early = this.#early;
    if (last?.type === 'done' && stopped === undefined && this.#queue.length === 0)
      return early === undefined ? end : { ...end, breaks: [...end.breaks, early] };
    const said = last?.type === 'fatal' ? last : undefined;
    // All slots were closed with plugins left.
    const closed = last?.type === 'done' ? (early ?? end.breaks.pop()) : early;
    const broken = stopped ?? said ?? closed ?? explain(exit, end);
    const whole = last?.type === 'fatal' || end.kernel === undefined || endsAll.has(broken.reason);
    return { ...end, broken: { reason: broken.reason, detail: broken.detail, whole } };
  }

  async #followParent(): Promise<void> {
    const { child } = this.#runner;
    try {
      for await (const line of readLines(child.stdout, this.#settings.limits.lineBytes)) {
        if (line instanceof LineTooLong) throw new ProtocolError(`the runner printed ${line.message}`);
        this.#takeOfParent(parseLine(line));
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#watch.stop('protocol', error.message);
    }
    await child.ended;
  }

  #takeOfParent(line: RunnerLine): void {
    // A worker has said that all has come to nothing, and the parent is about to be killed.
    if (this.#last?.type === 'fatal') return;
    if (this.#last !== undefined) throw new ProtocolError('the runner went on after its last line');
    switch (line.type) {
      case 'confined': {
        const { level, landlockAbi, seccomp } = line;
        this.#end.confined.push({ level, landlockAbi, seccomp });
        return;
      }
      case 'ready':
        this.#watch.prepared(this.#slots);
        return;
      case 'worker':
        this.#slots[line.slot]?.started(line.pid);
        return;
      case 'done':
        this.#end.versions = line.versions;
        this.#last = line;
        return;
      case 'fatal':
        this.#fatal(line);
        return;
      case 'kernel':
      case 'started':
      case 'rows':
      case 'ended':
      case 'died':
        throw new ProtocolError(`the runner printed a "${line.type}" line outside of a slot`);
    }
  }

  #fatal(line: Extract<RunnerLine, { type: 'fatal' }>): void {
    this.#last ??= line;
    this.#runner.child.kill();
  }

  #slotRun(budget: OutputBudget): SlotRun {
    const { lineBytes, outputBytes } = this.#settings.limits;
    const tooMuch = { reason: 'output_limit', detail: `the runner printed more than ${outputBytes} bytes` };
    return {
      parent: this.#runner.child.pid,
      record: this.#record,
      budget,
      watch: this.#watch,
      lineBytes,
      stopped: () => this.#watch.stopped ?? (this.#last?.type === 'fatal' ? this.#last : undefined),
      next: () => {
        const [plugin, ...rest] = this.#queue;
        this.#queue = rest;
        return plugin && { plugin, last: rest.length === 0 };
      },
      confined: (told) => void this.#end.confined.push(told),
      kernel: ({ imageBanner: banner, imageBuildId: buildId, pagingLevels, kernelOffset, dtb, kernelMismatch }) => {
        this.#end.kernel ??= { banner, pagingLevels, kernelOffset, dtb, ...(buildId === undefined ? {} : { buildId }) };
        this.#end.kernelMismatch ||= kernelMismatch;
      },
      opened: () => this.#end.kernel !== undefined,
      fatal: (line) => this.#fatal(line),
      broke: (why, early) => {
        if (early) this.#early ??= ofEarly(why);
        else this.#end.breaks.push(why);
      },
      printedTooMuch: (share) => this.#slots.find((slot) => slot.share === share)?.stop(tooMuch),
    };
  }

  /** Gives the workers what they read of the image, and ends the run when that cannot be read. Never rejects. */
  async #serve(open: () => RangeSource, signal: AbortSignal): Promise<void> {
    const serving = this.#slots.map(async (slot, index) => {
      const channel = this.#runner.child.sockets[2 * index + 1];
      const failed = (error: unknown): void => {
        if (signal.aborted) return;
        if (error instanceof ProtocolError) {
          // What the next worker asks for could not be told from the rest of it.
          slot.close();
          slot.stop({ reason: 'protocol', detail: error.message });
        } else this.#watch.stop('image_unreadable', textOf(error));
      };
      if (channel !== undefined) await serveRanges(channel, open(), failed, signal);
    });
    await Promise.all(serving);
  }
}

function runnerJob({ image, kernel }: AnalysisJob): RunnerJob {
  const { banner, buildId = '', vmcoreinfo } = kernel;
  return {
    image: image.kind === 'lime' ? image : { kind: 'ranges', sizeBytes: image.source.sizeBytes },
    kernel: { banner: banner === '' ? null : banner, buildId: buildId === '' ? null : buildId, vmcoreinfo },
  };
}

/** A worker that ended before it came to a plugin, without a word. */
function ofEarly({ reason, detail }: Break): Break {
  return { reason: reason.startsWith('exit ') ? 'runner_failed' : reason, detail };
}

/** Why a runner ended that was not killed by us and did not say why itself. */
function explain(exit: ChildEnd, end: RunEnd): Break {
  const lastWords = exit.stderr.trim().split('\n').at(-1) ?? '';
  if (exit.signal === 'SIGSYS' && end.confined.length === 0)
    return {
      reason: 'unconfined',
      detail: `the runner was killed by SIGSYS while it confined itself: a seccomp profile around the collector kills whoever calls Landlock or seccomp. Let it allow these calls, or refuse them with EPERM`,
    };
  if (exit.signal !== null)
    return { reason: `signal ${exit.signal}`, detail: `the runner was killed by ${exit.signal}` };
  const detail = `the runner ended early with exit code ${exit.code}: ${lastWords}`;
  if (end.kernel !== undefined) return { reason: `exit ${exit.code}`, detail };
  return { reason: 'runner_failed', detail };
}
