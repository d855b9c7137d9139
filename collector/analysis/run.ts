import { access, constants, type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnalysisJob, Confined, ImageKernel, ImageSource } from './analysis.ts';
import { type Child, type ChildEnd, startChild } from './child.ts';
import { runnerEnvironment } from './environment.ts';
import type { Surroundings } from './isolation.ts';
import type { AnalysisLimits } from './limits.ts';
import { LineTooLong, readLines } from './lines.ts';
import type { OutputBudget } from './output-budget.ts';
import type { PluginRecord } from './plugin-record.ts';
import { runnerPlugin } from './plugins.ts';
import { ProtocolError, parseLine, type RunnerJob, type RunnerLine } from './protocol.ts';
import { serveRanges } from './range-server.ts';
import { Watch } from './watch.ts';

/** The program that analyses: `<python> <entry>`, both absolute paths. */
export interface RunnerProgram {
  readonly python: string;
  readonly entry: string;
}

/** Name of the directories that runs have for themselves in the output directory. */
export const runDirPrefix = '.run-';

export interface RunSettings {
  readonly program: RunnerProgram;
  readonly surroundings: Surroundings;
  /** True: an image is read only by a runner that is confined in full. */
  readonly mustBeConfined: boolean;
  readonly accelerated: boolean;
  readonly limits: AnalysisLimits;
  /** What is left of the whole analysis' time. */
  readonly wallMs: number;
}

/** What one run of the runner came to, besides what it did to the record. */
export interface RunEnd {
  confined?: Confined;
  kernel?: ImageKernel;
  kernelMismatch: boolean;
  versions: Readonly<Record<string, string>>;
  /** Unset when it reached its last line. `whole`: nothing can come of another run either. */
  broken?: { readonly reason: string; readonly detail: string; readonly stderr: string; readonly whole: boolean };
}

/** Runs the remaining plugins of the record until the runner ends or is killed. Its directory and its processes are gone afterwards. */
export async function runPlugins(
  job: AnalysisJob,
  record: PluginRecord,
  budget: OutputBudget,
  settings: RunSettings,
  signal: AbortSignal,
): Promise<RunEnd> {
  const privateDir = await mkdtemp(join(job.outputDir, runDirPrefix));
  try {
    const started = await start(settings, privateDir, job.image);
    if ('end' in started) return started.end;
    const runnerJob = makeRunnerJob(job, record.remaining, privateDir, settings);
    return await follow(started.child, runnerJob, { image: job.image, record, budget, settings }, signal);
  } finally {
    await rm(privateDir, { recursive: true, force: true });
  }
}

async function start(
  { program, surroundings }: RunSettings,
  privateDir: string,
  image: ImageSource,
): Promise<{ child: Child } | { end: RunEnd }> {
  let file: FileHandle | undefined;
  try {
    // The runner gets the open file, as it may open none of the evidence.
    if (image.kind === 'lime') file = await open(image.path, 'r');
  } catch (error) {
    return notStarted('image_rejected', `the image cannot be opened: ${textOf(error)}`);
  }
  try {
    await access(program.python, constants.X_OK);
    await access(program.entry, constants.R_OK);
    const argv = [...surroundings.argv, program.python, program.entry];
    const third = file?.fd ?? 'socket';
    return { child: await startChild(argv, { cwd: privateDir, env: runnerEnvironment(privateDir), third }) };
  } catch (error) {
    return notStarted('runner_unavailable', `${program.python} cannot run ${program.entry}: ${textOf(error)}`);
  } finally {
    await file?.close();
  }
}

function notStarted(reason: string, detail: string): { end: RunEnd } {
  return { end: { kernelMismatch: false, versions: {}, broken: { reason, detail, stderr: '', whole: true } } };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What a run reads, and where it leaves what the runner prints. */
interface Followed {
  readonly image: ImageSource;
  readonly record: PluginRecord;
  readonly budget: OutputBudget;
  readonly settings: RunSettings;
}

async function follow(
  child: Child,
  runnerJob: RunnerJob,
  { image, record, budget, settings }: Followed,
  signal: AbortSignal,
): Promise<RunEnd> {
  const watch = new Watch(child, settings.limits, settings.wallMs, signal);
  const end: RunEnd = { kernelMismatch: false, versions: {} };
  let last: Extract<RunnerLine, { type: 'fatal' | 'done' }> | undefined;
  const ended = new AbortController();
  const served = serve(child, image, watch, ended.signal);
  try {
    child.stdin.end(JSON.stringify(runnerJob));
    try {
      for await (const bytes of readLines(child.stdout, settings.limits.lineBytes)) {
        if (!budget.take(bytes.length + 1)) {
          watch.stop('output_limit', `the runner printed more than ${settings.limits.outputBytes} bytes`);
          break;
        }
        if (last !== undefined) throw new ProtocolError('the runner went on after its last line');
        const line = parseLine(bytes);
        if (line.type === 'fatal' || line.type === 'done') last = line;
        else if (line.type === 'confined') takeConfined(end, line);
        else if (line.type === 'kernel') takeKernel(end, line);
        else await takePluginLine(line, end, record, budget, watch);
      }
    } catch (error) {
      if (error instanceof LineTooLong) watch.stop('output_limit', `the runner printed ${error.message}`);
      else if (error instanceof ProtocolError) watch.stop('protocol', error.message);
      else throw error;
    }
    if (last === undefined) child.stdout.destroy();
    const exit = await child.ended;
    signal.throwIfAborted();
    if (last?.type === 'done' && watch.stopped === undefined) return { ...end, versions: last.versions };
    const broken = watch.stopped ?? (last?.type === 'fatal' ? last : explain(exit, end));
    return {
      ...end,
      broken: { ...broken, stderr: exit.stderr, whole: isWhole(broken.reason, last, end) },
    };
  } finally {
    child.kill();
    watch.end();
    ended.abort();
    await served;
  }
}

/** Gives the runner what it reads of the image, and ends the run when that cannot be read. Never rejects. */
async function serve(child: Child, image: ImageSource, watch: Watch, signal: AbortSignal): Promise<void> {
  if (image.kind !== 'ranges' || child.channel === undefined) return;
  const failed = (error: unknown): void => {
    if (!signal.aborted) watch.stop(error instanceof ProtocolError ? 'protocol' : 'image_unreadable', textOf(error));
  };
  await serveRanges(child.channel, image.source, failed, signal);
}

/** Whether nothing can come of another run either. */
function isWhole(reason: string, last: RunnerLine | undefined, end: RunEnd): boolean {
  return last?.type === 'fatal' || end.kernel === undefined || reason === 'image_unreadable';
}

async function takePluginLine(
  line: Extract<RunnerLine, { type: 'started' | 'rows' | 'ended' }>,
  end: RunEnd,
  record: PluginRecord,
  budget: OutputBudget,
  watch: Watch,
): Promise<void> {
  if (end.kernel === undefined) throw new ProtocolError('the runner ran a plugin without having told the kernel');
  await record.take(line);
  if (line.type === 'started') watch.nextStep();
  if (line.type === 'ended') {
    watch.nextStep();
    if (line.state === 'rows') budget.keep();
    else budget.refundHalf();
  }
}

function takeConfined(end: RunEnd, { level, landlockAbi, seccomp }: Extract<RunnerLine, { type: 'confined' }>): void {
  if (end.confined !== undefined) throw new ProtocolError('the runner told its confinement twice');
  end.confined = { level, landlockAbi, seccomp };
}

function takeKernel(end: RunEnd, line: Extract<RunnerLine, { type: 'kernel' }>): void {
  if (end.confined === undefined) throw new ProtocolError('the runner read the image before it told its confinement');
  if (end.kernel !== undefined) throw new ProtocolError('the runner told the kernel twice');
  const { imageBanner, imageBuildId: buildId, pagingLevels, kernelOffset, dtb } = line;
  end.kernel = { banner: imageBanner, pagingLevels, kernelOffset, dtb, ...(buildId === undefined ? {} : { buildId }) };
  end.kernelMismatch = line.kernelMismatch;
}

/** Why a runner ended that was not killed by us and did not say why itself. */
function explain(exit: ChildEnd, end: RunEnd): { reason: string; detail: string } {
  const lastWords = exit.stderr.trim().split('\n').at(-1) ?? '';
  if (exit.signal === 'SIGSYS' && end.confined === undefined)
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

function makeRunnerJob(
  job: AnalysisJob,
  plugins: readonly string[],
  cacheDir: string,
  { limits, mustBeConfined, accelerated }: RunSettings,
): RunnerJob {
  const { banner, buildId = '', vmcoreinfo } = job.kernel;
  return {
    image: job.image.kind === 'lime' ? { kind: 'lime' } : { kind: 'ranges', sizeBytes: job.image.source.sizeBytes },
    isfPath: job.symbols.isfPath,
    isfSha256: job.symbols.isfSha256,
    kernel: { banner: banner === '' ? null : banner, buildId: buildId === '' ? null : buildId, vmcoreinfo },
    plugins: plugins.map(runnerPlugin),
    limits: { memoryBytes: limits.memoryBytes, fileBytes: limits.fileBytes },
    cacheDir,
    mustBeConfined,
    accelerated,
  };
}
