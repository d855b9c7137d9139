import { setTimeout as sleep } from 'node:timers/promises';
import { type KubeConfig, ListWatch, type V1Node, type V1Pod } from '@kubernetes/client-node';
import { LiveWatch, type WatchPace } from './live-watch.ts';
import { type ListPage, PageSize, readPages } from './pages.ts';

const firstRetryMs = 1_000;
const lastRetryMs = 30_000;

/** The objects of one kind, followed by list and watch; what goes wrong is tried again until `stop`. */
export class Reflector<T extends V1Node | V1Pod> {
  readonly objects: ListWatch<T>;
  readonly #failed: (error: unknown) => void;
  readonly #stopping = new AbortController();
  readonly #pageSize = new PageSize();
  #retryMs = firstRetryMs;
  #inStepMs: number | undefined;

  /** `slim` takes off an object, in place, what need not be kept. */
  constructor(
    config: KubeConfig,
    { path, list, slim }: { path: string; list: ListPage<T>; slim: (object: T) => void },
    failed: (error: unknown) => void,
    pace: WatchPace,
  ) {
    this.#failed = failed;
    const frozen = () =>
      failed(new Error(`watch of ${path} is frozen: nothing arrived for too long. The list is read again.`));
    const live = () => this.#noteStep(Date.now());
    const watch = new LiveWatch<T>(config, pace, { read: slim, live, frozen }, this.#stopping.signal);
    const read = async () => {
      const askedMs = Date.now();
      const all = await listAll(list, slim, this.#pageSize);
      this.#noteStep(askedMs);
      return all as never;
    };
    // Watches end all the time, in good order: that is no reason to wait longer and longer.
    const delayFn = (ms: number) => sleep(Math.min(ms, firstRetryMs), undefined, { ref: false });
    this.objects = new ListWatch<T>(path, watch, read, false, undefined, undefined, { delayFn });
    this.objects.on('error', (error) => this.#retry(error));
  }

  /** Milliseconds since 1970 when these were last known to be the API server's objects; undefined before the first list. */
  get inStepMs(): number | undefined {
    return this.#inStepMs;
  }

  start(): void {
    this.objects.start().catch((error: unknown) => this.#retry(error));
  }

  stop(): void {
    this.#stopping.abort();
    void this.objects.stop();
  }

  #retry(error: unknown): void {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    this.#failed(error);
    const waitMs = this.#retryMs * (0.5 + Math.random() / 2);
    this.#retryMs = Math.min(lastRetryMs, this.#retryMs * 2);
    sleep(waitMs, undefined, { signal }).then(
      () => this.start(),
      () => undefined,
    );
  }

  /** Only a whole list and the watch itself show it: an answer on another connection says nothing of a watch that hears nothing. */
  #noteStep(ms: number): void {
    this.#inStepMs = ms;
    this.#retryMs = firstRetryMs;
  }
}

async function listAll<T>(
  list: ListPage<T>,
  slim: (object: T) => void,
  size: PageSize,
): Promise<{ items: T[]; metadata: { resourceVersion?: string } }> {
  const all: T[] = [];
  let resourceVersion: string | undefined;
  for await (const { items, metadata } of readPages(list, size)) {
    items.forEach(slim);
    all.push(...items);
    resourceVersion ??= metadata?.resourceVersion;
  }
  return { items: all, metadata: resourceVersion === undefined ? {} : { resourceVersion } };
}
