import type { Connection } from './connection.ts';
import { doorLimits } from './limits.ts';

/** How long a place is left to a connection with a call, and to any among those of one address. */
const graceMs = 1_000;
/** The same for one without a call, from its coming or the end of its handshake, when strangers have all places. */
const quietMs = 100;

/** The connections at one port that have not shown who they are. */
export class Strangers {
  /** By address, in the order of their coming. */
  readonly #ofAddress = new Map<string, Set<Connection>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(connection: Connection): void {
    const same = this.#ofAddress.get(connection.address) ?? new Set();
    this.#ofAddress.set(connection.address, same.add(connection));
    this.#count += 1;
  }

  delete(connection: Connection): void {
    const same = this.#ofAddress.get(connection.address);
    if (!same?.delete(connection)) return;
    this.#count -= 1;
    if (same.size === 0) this.#ofAddress.delete(connection.address);
  }

  hasRoomFor(address: string): boolean {
    const ofAddress = this.#ofAddress.get(address)?.size ?? 0;
    return this.#count < doorLimits.strangers && ofAddress < doorLimits.strangersOfAddress;
  }

  /** Returns whose place one more from this address takes if there is no room; undefined if nobody has to give way. */
  firstToGo(address: string, nowMs: number): Connection | undefined {
    const own = [...(this.#ofAddress.get(address) ?? [])];
    if (own.length >= doorLimits.strangersOfAddress)
      return own.find((one) => nowMs - one.sinceMs >= graceMs && !isServed(one));
    let first: Connection | undefined;
    let most = 0;
    for (const same of this.#ofAddress.values()) {
      const leaving = [...same].filter((one) => isQuiet(one, nowMs) && !isServed(one));
      const [oldest] = leaving;
      // An address with few connections makes no room for one that has more.
      if (oldest === undefined || same.size < own.length || leaving.length < most) continue;
      if (first !== undefined && leaving.length === most && first.sinceMs <= oldest.sinceMs) continue;
      first = oldest;
      most = leaving.length;
    }
    return first;
  }
}

/** An honest peer shows who it is, or has a handler at work, within moments. */
const isServed = ({ calls }: Connection): boolean => [...calls].some((call) => call.isServed);

const isQuiet = ({ hasStreams, sinceMs, quietSinceMs }: Connection, nowMs: number): boolean =>
  hasStreams ? nowMs - sinceMs >= graceMs : nowMs - quietSinceMs >= quietMs;
