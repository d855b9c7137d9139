import type { ServerHttp2Session } from 'node:http2';
import { constants } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { networkOf } from '../../identity/network.ts';
import { doorLimits } from './limits.ts';

/** A call that is open on a connection. */
export interface OpenCall {
  /** Bytes of answers that its peer has not taken. */
  readonly answersLeft: number;
  /** Whether a handler has had a message of it. */
  readonly isServed: boolean;
  /** Ends the call when its peer has been too slow. */
  checkTime(nowMs: number): void;
}

/** How long a peer has to read why its connection ends. */
const farewellMs = 1_000;

/** One connection of a peer, from its first byte to its end. Times are monotonic. */
export class Connection {
  /** For the records. */
  readonly address: string;
  readonly port: string;
  /** By which strangers pay: address and port, since those at one port shall not keep out who comes to the other. */
  readonly origin: string;
  /** For the records. */
  readonly peer: string;
  readonly sinceMs = performance.now();
  readonly calls = new Set<OpenCall>();
  /** Alternative names of the verified certificate, and the certificate, DER. */
  peerNames = '';
  peerCertificate: Uint8Array | undefined;
  /** Who has shown themselves on it; undefined: a stranger. */
  identity: string | undefined;
  /** Whether its coming is charged to its origin. */
  isPaid = true;
  /** Calls that failed while it was a stranger's. */
  failures = 0;
  readonly #raw: Socket;
  #tls: TLSSocket | undefined;
  #session: ServerHttp2Session | undefined;
  #quietSinceMs = this.sinceMs;
  #streams = 0;
  /** Streams that are accounted for, open or not. */
  #counted = 0;
  #idleSinceMs = performance.now();
  #taken = { atMs: 0, bytes: 0 };
  #isEnding = false;

  constructor(raw: Socket, port: string) {
    this.#raw = raw;
    this.port = port;
    this.address = networkOf(raw.remoteAddress ?? '');
    this.origin = `${port} ${this.address}`;
    this.peer = `${raw.remoteAddress ?? ''}:${raw.remotePort ?? 0}`;
  }

  get session(): ServerHttp2Session | undefined {
    return this.#session;
  }

  get hasStreams(): boolean {
    return this.#streams > 0;
  }

  /** Since it came, or since its handshake succeeded. */
  get quietSinceMs(): number {
    return this.#quietSinceMs;
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** The handshake has succeeded. */
  secured(tls: TLSSocket): void {
    this.#tls = tls;
    this.#quietSinceMs = performance.now();
    const certificate = tls.getPeerX509Certificate();
    this.peerNames = certificate?.subjectAltName ?? '';
    this.peerCertificate = certificate?.raw;
  }

  began(session: ServerHttp2Session): void {
    this.#session = session;
  }

  /** Somebody has shown who they are, and may make more calls at once. */
  identified(identity: string): void {
    this.identity = identity;
    const session = this.#session;
    if (session !== undefined && !session.destroyed && !session.closed)
      session.settings({ maxConcurrentStreams: doorLimits.streamsOfConnection });
  }

  streamOpened(): void {
    this.#streams += 1;
    this.#counted += 1;
  }

  /**
   * Returns how many streams Node has reset by itself since the last question, for headers that are too many or too large: it tells nobody, and
   * only the number of the last stream shows it. A number that a peer skips counts too. One is left out: the headers of
   * the last stream may still be arriving.
   */
  takeUnseen(): number {
    const begun = Math.ceil((this.#session?.state.lastProcStreamID ?? 0) / 2) - 1;
    const unseen = Math.max(0, begun - this.#counted);
    this.#counted += unseen;
    return unseen;
  }

  streamClosed(): void {
    this.#streams -= 1;
    this.#idleSinceMs = performance.now();
  }

  /** How long there has been no stream on it, in milliseconds. */
  idleMs(nowMs: number): number {
    return this.#streams > 0 ? 0 : nowMs - this.#idleSinceMs;
  }

  /** Answers on it that its peer has not taken, in bytes. */
  get answersLeft(): number {
    return [...this.calls].reduce((sum, call) => sum + call.answersLeft, 0);
  }

  /** Whether its peer has long left answers lying. */
  takesNoAnswers(nowMs: number): boolean {
    const written = this.#tls?.bytesWritten ?? 0;
    const moves = written - this.#taken.bytes >= doorLimits.answersTaken;
    if (moves || this.answersLeft <= doorLimits.answersLeft) this.#taken = { atMs: nowMs, bytes: written };
    return nowMs - this.#taken.atMs > doorLimits.answersMs;
  }

  /** Takes no further call and ends when those on it have, or, unless it is idle, in a moment. */
  end(why: 'idle' | 'refused' | 'reset'): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const session = this.#session;
    if (session === undefined || session.destroyed) {
      this.destroy();
      return;
    }
    // A peer may leave its half open, whatever it is told.
    setTimeout(() => this.destroy(), farewellMs).unref();
    if (why === 'idle') {
      session.close();
      return;
    }
    // Clients drop the answers that they have when they are told to be calm: only who does not wait for answers is.
    session.goaway(why === 'reset' ? constants.NGHTTP2_ENHANCE_YOUR_CALM : constants.NGHTTP2_NO_ERROR);
    // Closed at once, with bytes that nobody read, it would take the answers along.
  }

  destroy(): void {
    this.#isEnding = true;
    this.#session?.destroy();
    this.#raw.destroy();
  }
}
