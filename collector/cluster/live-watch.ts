import { type KubeConfig, Watch } from '@kubernetes/client-node';

/** Seconds after which the API server is asked to end a watch, and the silence, in ms and longer, after which it counts as frozen. */
export interface WatchPace {
  readonly watchSeconds: number;
  readonly silenceMs: number;
}

/** Told of each watch. */
export interface WatchEvents<T> {
  /** Told each object before the list has it. What it throws ends the watch: the list would keep an object of a wrong type. */
  read(object: T): void;
  /** The API server has sent all that happened up to now. */
  live(): void;
  /** Nothing arrived for too long; the list is read again. */
  frozen(path: string): void;
}

/** Of the end of a watch, in ms: clocks here and there need not agree on more. */
const slackMs = 500;
const checkProxy = 'Check the proxy between the collector and the API server.';
const phases: readonly unknown[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'];

/** Watches of one path that show whether they are alive: the API server bookmarks each before its early end. */
export class LiveWatch<T> extends Watch {
  readonly #pace: WatchPace;
  readonly #events: WatchEvents<T>;
  readonly #stop: AbortSignal;
  /** When this watch, or one before it, last proved to be alive; undefined before the first one after a list. */
  #silentSinceMs: number | undefined;

  constructor(config: KubeConfig, pace: WatchPace, events: WatchEvents<T>, stop: AbortSignal) {
    super(config);
    this.#pace = pace;
    this.#events = events;
    this.#stop = stop;
  }

  override async watch(...[path, query, callback, done]: Parameters<Watch['watch']>): Promise<AbortController> {
    // A list that waits before its next watch does not look whether it was stopped meanwhile.
    if (this.#stop.aborted) return new AbortController();
    const { watchSeconds, silenceMs } = this.#pace;
    let refusal: Error | undefined;
    let isFrozen = false;
    let controller: AbortController | undefined;
    const timer = setTimeout(() => {
      // The client itself gives up an attempt to connect.
      if (controller === undefined) return;
      isFrozen = true;
      controller.abort();
    }, silenceMs);
    timer.unref();
    const startedMs = performance.now();
    this.#silentSinceMs ??= startedMs;
    const prove = () => {
      this.#silentSinceMs = performance.now();
      this.#events.live();
    };
    const hear: typeof callback = (phase, object, event) => {
      refusal ??= refusalOf(path, phase, object);
      // The list does not look at what it is given, and an exception there would end the process.
      if (refusal !== undefined) return;
      timer.refresh();
      try {
        this.#events.read(object as T);
      } catch (cause) {
        refusal = new Error(`watch of ${path} failed: an event cannot be read. ${checkProxy}`, { cause });
        controller?.abort();
        return;
      }
      callback(phase, object, event);
      prove();
    };
    const end: typeof done = (error) => {
      clearTimeout(timer);
      const endedMs = performance.now();
      const isInTime = endedMs - startedMs >= watchSeconds * 1_000 - slackMs;
      // An end in good order comes after all that happened before it, if it comes when it was asked for: a proxy, or an
      // API server that does not have the version, ends at once what has told nothing.
      if (error === null && refusal === undefined && !isFrozen && isInTime) prove();
      const isSilent = error === null && endedMs - (this.#silentSinceMs ?? startedMs) >= silenceMs;
      if (isFrozen || isSilent || error?.name === 'TimeoutError') {
        this.#silentSinceMs = undefined;
        this.#events.frozen(path);
        // As if the version were gone: a list shows what was missed, even where no watch gets through.
        done(Object.assign(new Error('the watch is frozen'), { code: 410 }));
      } else done(refusal ?? error ?? null);
    };
    try {
      const asked = { ...query, allowWatchBookmarks: true, timeoutSeconds: watchSeconds };
      controller = await super.watch(path, asked, hear, end);
      return controller;
    } catch (error) {
      // Nobody waits for a watch that follows another one: thrown on, this would end the process.
      end(error);
      return new AbortController();
    }
  }
}

/** Returns why what a watch was told is no event of an object, with the API server's code (410: the version is gone), or undefined. */
function refusalOf(path: string, phase: unknown, object: unknown): Error | undefined {
  const { metadata, message, code } = (object ?? {}) as Readonly<Record<string, unknown>>;
  if (phase === 'ERROR') {
    const why = `the API server answers ${String(message ?? code).slice(0, 200)}`;
    return Object.assign(new Error(`watch of ${path} failed: ${why}. It is tried again.`), { code });
  }
  const { resourceVersion } = (metadata ?? {}) as { resourceVersion?: unknown };
  if (phases.includes(phase) && resourceVersion) return undefined;
  const why = 'the answer holds something other than events of objects';
  return new Error(`watch of ${path} failed: ${why}. ${checkProxy}`);
}
