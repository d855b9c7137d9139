import { type Client, connectivityState } from '@grpc/grpc-js';
import { reach } from './reach.ts';

/**
 * The channel to the collector. An attempt to connect that leads nowhere is given up together with its channel: grpc-js sets it no limit, and
 * one that began towards a collector that has moved would last as long as the kernel repeats its first packet, a minute or two, since behind a
 * Service the way is remembered for each attempt.
 */
export class Line {
  readonly #open: () => Client;
  readonly #gaveUp: () => void;
  #channel: Client;
  #left = Promise.withResolvers<void>();
  #watched: Client | undefined;

  /** `gaveUp` is told of each attempt that led nowhere. */
  constructor(open: () => Client, gaveUp: () => void) {
    this.#open = open;
    this.#gaveUp = gaveUp;
    this.#channel = open();
  }

  /** The channel for the next call. */
  readonly channel = (): Client => this.#channel;

  /** Resolves when there is a connection (true), or when an attempt was refused (false): the call that follows then fails with the reason. */
  async reach(signal: AbortSignal): Promise<boolean> {
    while (true) {
      const channel = this.#channel;
      if (await reach(channel, signal)) {
        this.#watch(channel);
        return true;
      }
      if (channel !== this.#channel) continue;
      if (channel.getChannel().getConnectivityState(false) !== connectivityState.CONNECTING) return false;
      this.#channel = this.#open();
      channel.close();
      this.#gaveUp();
    }
  }

  /** From now on calls have a new connection; those that run are left where they are. */
  renew(): void {
    const before = this.#channel;
    this.#channel = this.#open();
    before.close();
    this.#leave();
  }

  /** Resolves when calls that begin now would have another connection than those that run: renewed here, or because the collector takes no more on it. */
  async left(signal: AbortSignal): Promise<void> {
    const { promise } = this.#left;
    const stop = Promise.withResolvers<never>();
    const abort = () => stop.reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    await Promise.race([promise, stop.promise]).finally(() => signal.removeEventListener('abort', abort));
  }

  close(): void {
    this.#channel.close();
  }

  #watch(channel: Client): void {
    if (this.#watched === channel || channel !== this.#channel) return;
    this.#watched = channel;
    channel.getChannel().watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, () => {
      this.#watched = undefined;
      if (channel === this.#channel) this.#leave();
    });
  }

  #leave(): void {
    const { resolve } = this.#left;
    this.#left = Promise.withResolvers();
    resolve();
  }
}
