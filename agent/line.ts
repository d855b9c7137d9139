import { type Client, connectivityState } from '@grpc/grpc-js';
import { reach } from './reach.ts';

/**
 * The channel to the collector. An attempt to connect that leads nowhere is given up together with its channel: grpc-js sets it no limit, and
 * one that began towards a collector that has moved would last as long as the kernel repeats its first packet, a minute or two, since behind a
 * Service the way is remembered for each attempt.
 */
export class Line {
  readonly #open: () => Client;
  #channel: Client;

  constructor(open: () => Client) {
    this.#open = open;
    this.#channel = open();
  }

  /** The channel for the next call. */
  readonly channel = (): Client => this.#channel;

  /** See `reach`; after it has failed, the next attempt begins anew. */
  async reach(signal: AbortSignal): Promise<void> {
    const channel = this.#channel;
    if ((await reach(channel, signal)) || channel !== this.#channel) return;
    if (channel.getChannel().getConnectivityState(false) !== connectivityState.CONNECTING) return;
    this.#channel = this.#open();
    channel.close();
  }

  close(): void {
    this.#channel.close();
  }
}
