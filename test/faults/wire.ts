import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** One connection through the wire. */
interface Pair {
  readonly agent: Socket;
  readonly collector: Socket;
  /** Nothing passes any more, in either direction, and nobody is told. */
  dead: boolean;
}

/** The network between agent and collector: counts what the agent sends, and breaks in every way that a network does. */
export class Wire implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #target: number;
  #trap: { atBytes: number; spring: () => void } | undefined;
  #watched: { marker: Buffer; tail: Buffer } | undefined;
  /** Bytes that the agent has sent over all connections. */
  sentBytes = 0;
  /** Every piece is held back for so long. */
  delayMs = 0;
  /** New connections are turned away. */
  isDown = false;
  sawMarker = false;
  connections = 0;
  /** Connections that were made half-open, and those of them that the collector has given up. */
  deadConnections = 0;
  deadCollectorEnds = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((agent) => this.#accept(agent));
  }

  static async start(target: number): Promise<Wire> {
    const wire = new Wire(target);
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Calls back at the very byte, before anything after it has passed. */
  trap(atBytes: number, spring: () => void): void {
    this.#trap = { atBytes, spring };
  }

  /** Looks for these bytes in everything that passes, in both directions. */
  watchFor(marker: Buffer): void {
    this.#watched = { marker, tail: Buffer.alloc(0) };
  }

  /** Ends every connection with a reset. */
  cut(): void {
    for (const { agent, collector } of this.#pairs) {
      agent.resetAndDestroy();
      collector.resetAndDestroy();
    }
  }

  /** Makes every open connection half-open: both ends think that it lives, nothing arrives. */
  swallow(): void {
    for (const pair of this.#pairs) {
      pair.dead = true;
      this.deadConnections += 1;
      pair.collector.once('close', () => {
        this.deadCollectorEnds += 1;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(agent: Socket): void {
    if (this.isDown) {
      agent.resetAndDestroy();
      return;
    }
    this.connections += 1;
    const collector = connect(this.#target, '127.0.0.1');
    const pair: Pair = { agent, collector, dead: false };
    this.#pairs.add(pair);
    agent.setNoDelay(true);
    collector.setNoDelay(true);
    const close = (other: Socket) => () => {
      // A half-open connection does not even learn that its other end is gone.
      if (!pair.dead) other.destroy();
      if (agent.destroyed && collector.destroyed) this.#pairs.delete(pair);
    };
    agent.on('error', () => undefined).on('close', close(collector));
    collector.on('error', () => undefined).on('close', close(agent));
    agent.on('data', (data: Buffer) => this.#fromAgent(pair, data));
    collector.on('data', (data: Buffer) => this.#pass(pair, collector, agent, data));
  }

  #fromAgent(pair: Pair, data: Buffer): void {
    const before = this.sentBytes;
    this.sentBytes += data.length;
    const trap = this.#trap;
    if (trap === undefined || this.sentBytes < trap.atBytes) {
      this.#pass(pair, pair.agent, pair.collector, data);
      return;
    }
    this.#trap = undefined;
    const cut = Math.max(0, trap.atBytes - before);
    this.#pass(pair, pair.agent, pair.collector, data.subarray(0, cut));
    trap.spring();
    this.#pass(pair, pair.agent, pair.collector, data.subarray(cut));
  }

  #pass(pair: Pair, from: Socket, to: Socket, data: Buffer): void {
    this.look(data);
    const deliver = (): void => {
      if (pair.dead || to.destroyed || to.write(data) || from.isPaused()) return;
      from.pause();
      to.once('drain', () => from.resume());
    };
    if (this.delayMs === 0) deliver();
    else setTimeout(deliver, this.delayMs);
  }

  /** Looks for the marker in bytes that follow those before. */
  look(data: Buffer): void {
    const watched = this.#watched;
    if (watched === undefined) return;
    const joined = Buffer.concat([watched.tail, data]);
    if (joined.includes(watched.marker)) this.sawMarker = true;
    watched.tail = joined.subarray(-watched.marker.length);
  }
}
