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

  /** `gaveUp` is told of each attempt that led nowhere. */
  constructor(open: () => Client, gaveUp: () => void) {
    this.#open = open;
    this.#gaveUp = gaveUp;
    this.#channel = open();
  }

  /** The channel for the next call. */
  readonly channel = (): Client => this.#channel;

  /** Resolves when there is a connection, or when an attempt was refused: the call that follows then fails with the reason. */
  async reach(signal: AbortSignal): Promise<void> {
    while (true) {
      const channel = this.#channel;
      if (await reach(channel, signal)) return;
      if (channel !== this.#channel) continue;
      if (channel.getChannel().getConnectivityState(false) !== connectivityState.CONNECTING) return;
      this.#channel = this.#open();
      channel.close();
      this.#gaveUp();
    }
  }

  close(): void {
    this.#channel.close();
  }
}
