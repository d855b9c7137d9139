import { type Client, connectivityState } from '@grpc/grpc-js';
import { reach } from './reach.ts';

/**
 * The channel to the collector. An attempt to connect that leads nowhere is given up together with its channel: grpc-js sets it no limit, and
 * one that began towards a collector that has moved would last as long as the kernel repeats its first packet, a minute or two, since behind a
 * Service the way is remembered for each attempt.
 */
export class CollectorConnection {
  readonly #open: () => Client;
  readonly #gaveUp: () => void;
  #channel: Client;
  #left = Promise.withResolvers<void>();

  /** `gaveUp` is called for each attempt that timed out. */
  constructor(open: () => Client, gaveUp: () => void) {
    this.#open = open;
    this.#gaveUp = gaveUp;
    this.#channel = open();
    this.#watch(this.#channel);
  }

  /** The channel for the next call. */
  readonly channel = (): Client => this.#channel;

  /** Resolves when there is a connection (true), or when an attempt was refused (false): the call that follows then fails with the reason. */
  async reach(signal: AbortSignal): Promise<boolean> {
    while (true) {
      const channel = this.#channel;
      if (await reach(channel, signal)) return true;
      if (channel !== this.#channel) continue;
      if (channel.getChannel().getConnectivityState(false) !== connectivityState.CONNECTING) return false;
      this.#replace();
      this.#gaveUp();
    }
  }

  /** From now on calls have a new connection; those that run are left where they are. */
  renew(): void {
    this.#replace();
    this.#leave();
  }

  /**
   * Resolves when calls that begin then have another connection than those that begin now: renewed here, or because the collector takes no more on
   * this one, or because it broke.
   */
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

  #replace(): void {
    const before = this.#channel;
    this.#channel = this.#open();
    this.#watch(this.#channel);
    before.close();
  }

  #watch(channel: Client): void {
    const core = channel.getChannel();
    const state = core.getConnectivityState(false);
    if (state === connectivityState.SHUTDOWN) return;
    core.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (channel !== this.#channel) return;
      if (state === connectivityState.READY) this.#leave();
      this.#watch(channel);
    });
  }

  #leave(): void {
    const { resolve } = this.#left;
    this.#left = Promise.withResolvers();
    resolve();
  }
}
