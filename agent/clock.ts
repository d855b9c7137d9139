/** A moment as the contract writes it. */
export interface Timestamp {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** A moment of this node's clock as the contract writes it. */
export function timestamp(date: Date): Timestamp {
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1_000_000 };
}

/** A duration of the contract in milliseconds; undefined stays undefined. */
export function durationMs(duration: { seconds: bigint; nanos: number } | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1000 + duration.nanos / 1_000_000;
}
