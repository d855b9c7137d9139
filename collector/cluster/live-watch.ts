import { type KubeConfig, Watch } from '@kubernetes/client-node';

/** Seconds after which the API server is asked to end a watch, and the silence, in ms and longer, after which it counts as frozen. */
export interface WatchPace {
  readonly watchSeconds: number;
  readonly silenceMs: number;
}

/** Told of each watch. */
export interface WatchEvents {
  /** The API server has sent all that happened up to now. */
  live(): void;
  /** Nothing arrived for too long; the list is read again. */
  frozen(path: string): void;
}

/** Watches that show whether they are alive: the API server sends a bookmark shortly before their end, and ends them soon. */
export class LiveWatch extends Watch {
  readonly #pace: WatchPace;
  readonly #events: WatchEvents;
  readonly #stop: AbortSignal;

  constructor(config: KubeConfig, pace: WatchPace, events: WatchEvents, stop: AbortSignal) {
    super(config);
    this.#pace = pace;
    this.#events = events;
    this.#stop = stop;
  }

  override async watch(...[path, query, callback, done]: Parameters<Watch['watch']>): Promise<AbortController> {
    // A list that waits before its next watch does not look whether it was stopped meanwhile.
    if (this.#stop.aborted) return new AbortController();
    const { watchSeconds, silenceMs } = this.#pace;
    const startMs = performance.now();
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
    const hear: typeof callback = (phase, object, event) => {
      timer.refresh();
      refusal ??= refusalOf(path, phase, object);
      // The list does not look what it is given, and what it throws then would end the process.
      if (refusal !== undefined) return;
      callback(phase, object, event);
      this.#events.live();
    };
    const end: typeof done = (error) => {
      clearTimeout(timer);
      isFrozen ||= error?.name === 'TimeoutError';
      const lasted = performance.now() - startMs > watchSeconds * 900;
      if (isFrozen) this.#events.frozen(path);
      // An end in good order comes after all that happened before it, and when it was asked for; a connection that breaks does not end so.
      else if (error === null && refusal === undefined && lasted) this.#events.live();
      // As if the version were gone: a list shows what was missed, even where no watch gets through.
      done(isFrozen ? Object.assign(new Error('the watch is frozen'), { code: 410 }) : (error ?? refusal ?? null));
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

const phases: readonly unknown[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'];

/** What is wrong with an event of a watch; undefined for one of an object. Its code is the API server's: 410 for a version that is gone. */
function refusalOf(path: string, phase: unknown, object: unknown): Error | undefined {
  const { metadata, message, code } = (object ?? {}) as Readonly<Record<string, unknown>>;
  if (phase === 'ERROR') {
    const why = `the API server answers ${String(message ?? code).slice(0, 200)}`;
    return Object.assign(new Error(`watch of ${path} failed: ${why}. It is tried again.`), { code });
  }
  if (phases.includes(phase) && typeof metadata === 'object' && metadata !== null) return undefined;
  const why = 'the answer holds something else than events of objects';
  return new Error(`watch of ${path} failed: ${why}. See to what is between the collector and the API server.`);
}
