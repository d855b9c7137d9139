import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The collector's series. What is state is read anew for each scrape, so that a restart neither loses nor invents any. */
export class Scrape {
  readonly #registry = new Registry();
  readonly #readers: (() => void | Promise<void>)[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Called before each answer, in the order in which they were added. */
  read(reader: () => void | Promise<void>): void {
    this.#readers.push(reader);
  }

  counter<T extends string>(name: string, help: string, labelNames: readonly T[] = []): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  gauge<T extends string>(name: string, help: string, labelNames: readonly T[] = []): Gauge<T> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, buckets, registers: [this.#registry] });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The answer to a scrape. */
  async text(): Promise<string> {
    for (const reader of this.#readers) await reader();
    return await this.#registry.metrics();
  }
}

type Series<T extends string> = readonly [labels: Record<T, string>, value: number | undefined];

/** Gives a metric exactly these series, but for those without a value: what was there before and is not named is gone. */
export function replace<T extends string>(metric: Gauge<T> | Counter<T>, series: Iterable<Series<T>>): void {
  metric.reset();
  for (const [labels, value] of series) if (value !== undefined) metric.inc(labels, value);
}

/** Sets a gauge without labels; without a value it is not there. */
export function setOrRemove(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}

/** Seconds since 1970, as Prometheus wants times. */
export const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);
