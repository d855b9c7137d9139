import { setTimeout as sleep } from 'node:timers/promises';
import { create, fromJson, type MessageInitShape } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import { Fault } from '@kcorder/proto/fault.ts';
import { PluginResultSchema } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import { AnalysisState } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import type { WatchAnalysisResponseSchema } from '@kcorder/proto/gen/kcorder/v1/results_pb.ts';
import type { PluginProgress } from '../analysis/analysis.ts';
import type { LiveAnalyses, LiveAnalysis } from '../analysis/live.ts';
import { type LiveBatch, LiveRows } from '../analysis/live-rows.ts';
import type { CaptureJournal } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';
import type { Places } from './places.ts';
import { presentAnalysisStatus } from './present.ts';
import { presentState } from './present-analysis.ts';

type Response = MessageInitShape<typeof WatchAnalysisResponseSchema>;

const atMostEveryMs = 250;

/** Where the progress of analyses is known. */
export interface WatchDeps {
  readonly journal: Pick<CaptureJournal, 'get' | 'recordReading' | 'watch'>;
  readonly again: Pick<Reanalyses, 'get' | 'watch'>;
  readonly live: Pick<LiveAnalyses, 'of' | 'watch'>;
  /** For those who watch rows. */
  readonly places: Places;
  /** Throws invalid_argument for a name that no analysis can run. */
  readonly checkPlugin: (name: string) => void;
}

/** What is watched, by whom. */
export interface WatchedAnalysis {
  readonly captureId: string;
  /** Its rows are sent; empty for none. */
  readonly plugin: string;
  readonly unmask: boolean;
  readonly actor: string;
  readonly payer: string;
  readonly signal: AbortSignal;
}

/**
 * Streams the state of an analysis and of its plugins, now and at every change, until it has ended; and the rows of one plugin, whose reader is on
 * record before the first. Throws capture_unknown, resource_exhausted, and invalid_argument for a plugin that is not run.
 */
export async function* watchAnalysis(deps: WatchDeps, watched: WatchedAnalysis): AsyncIterable<Response> {
  const { captureId, plugin, unmask, actor, payer, signal } = watched;
  const status = () => presentAnalysisStatus(deps.journal.get(captureId).state, deps.again.get(captureId));
  let told = status();
  // An analysis that has not begun may be an hour away. One that has ended may be of a release with other plugins.
  if (plugin !== '' && isWaiting(told.state)) deps.checkPlugin(plugin);
  using _place = plugin === '' ? undefined : deps.places.take(payer);
  using changes = new Changes(deps, captureId, signal);
  if (plugin !== '') {
    const detail = { plugin, live: true, ...(unmask && { unmask }) };
    deps.journal.recordReading(captureId, actor, 'rows_read', detail);
  }
  await using views = new AsyncDisposableStack();
  let view: View | undefined;
  yield { analysis: told };
  while (true) {
    // Before the plugins: once it has ended, they have.
    const now = status();
    if (view === undefined && changes.live !== undefined)
      view = views.use(new View(changes.live, plugin, unmask, captureId));
    if (view !== undefined) yield* view.changes();
    if (now.state !== told.state || now.reason !== told.reason) yield { analysis: now };
    told = now;
    if (hasEnded(now.state) || changes.isPast || (changes.live?.isOver === true && isWaiting(now.state))) return;
    await changes.next();
  }
}

const hasEnded = (state: AnalysisState | undefined): boolean =>
  state === AnalysisState.DONE || state === AnalysisState.FAILED || state === AnalysisState.SKIPPED;
const isWaiting = (state: AnalysisState | undefined): boolean => state === AnalysisState.PENDING;

/** Waits for changes of one analysis. */
class Changes implements Disposable {
  /** The analysis that is followed; the first that ran since. */
  live: LiveAnalysis | undefined;
  /** True: another one runs by now. */
  isPast = false;
  readonly #stops: readonly (() => void)[];
  readonly #signal: AbortSignal;
  #changed = Promise.withResolvers<void>();
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor({ journal, again, live }: WatchDeps, captureId: string, signal: AbortSignal) {
    this.#signal = signal;
    const look = (id: string): void => {
      if (id !== captureId) return;
      const now = live.of(captureId);
      this.live ??= now;
      this.isPast ||= now !== undefined && now !== this.live;
      this.#changed.resolve();
    };
    const wake = (): void => this.#changed.resolve();
    signal.addEventListener('abort', wake, { once: true });
    this.#stops = [
      journal.watch((change) => look(change.captureId)),
      again.watch(look),
      live.watch(look),
      () => signal.removeEventListener('abort', wake),
    ];
    look(captureId);
  }

  /** Resolves after a change since the last time, and not at once after it. Throws the signal's reason. */
  async next(): Promise<void> {
    await this.#changed.promise;
    this.#signal.throwIfAborted();
    const waitMs = this.#lastMs + atMostEveryMs - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: this.#signal });
    this.#changed = Promise.withResolvers();
    this.#lastMs = performance.now();
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stops) stop();
  }
}

/** What was told of an analysis that runs. */
class View implements AsyncDisposable {
  readonly #live: LiveAnalysis;
  readonly #plugin: string;
  readonly #rows: LiveRows | undefined;
  readonly #told = new Map<string, string>();

  constructor(live: LiveAnalysis, plugin: string, unmask: boolean, captureId: string) {
    this.#live = live;
    this.#plugin = plugin;
    if (plugin === '') return;
    if (live.plugin(plugin) === undefined) throw notRun(live, plugin, captureId);
    this.#rows = new LiveRows(live, plugin, unmask);
  }

  /** What has changed. A plugin has ended for whoever takes its rows when all of them are taken. */
  async *changes(): AsyncGenerator<Response, void, undefined> {
    const { plugins } = this.#live;
    const own = plugins.find(({ name }) => name === this.#plugin);
    yield* this.#changed(plugins.filter((plugin) => plugin !== own || isUnderWay(own)));
    if (own === undefined || this.#rows === undefined) return;
    for await (const batch of this.#rows.take(own)) yield { rows: presentRows(own, batch) };
    yield* this.#changed([own]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rows?.[Symbol.asyncDispose]();
  }

  *#changed(plugins: readonly PluginProgress[]): Generator<Response, void, undefined> {
    const changed = plugins.filter((plugin) => this.#told.get(plugin.name) !== markOf(plugin));
    for (const plugin of changed) this.#told.set(plugin.name, markOf(plugin));
    if (changed.length > 0) yield { plugins: changed.map(presentPlugin) };
  }
}

const isUnderWay = ({ state }: PluginProgress): boolean => state === 'waiting' || state === 'running';
const markOf = ({ state, rowCount }: PluginProgress): string => `${state} ${rowCount}`;

function presentPlugin({ name, state, reason, rowCount, seconds }: PluginProgress) {
  return create(PluginResultSchema, {
    ...{ name, state: presentState(state), reason, rowCount: BigInt(rowCount), seconds },
  });
}

function presentRows(plugin: PluginProgress, { columns, rows }: LiveBatch) {
  const result = presentPlugin(plugin);
  result.columns = [...columns];
  result.rows = rows.map((row) => fromJson(ListValueSchema, [...row]));
  return result;
}

function notRun({ plugins }: LiveAnalysis, plugin: string, captureId: string): Fault {
  const names = plugins.map(({ name }) => name).join(', ');
  return new Fault(
    'invalid_argument',
    `the analysis of capture ${captureId} does not run plugin ${plugin.slice(0, 80)}; it runs ${names}`,
  );
}
