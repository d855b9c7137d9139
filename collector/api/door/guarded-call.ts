import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  type Metadata,
  type ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerMethodDefinition,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { Fault } from '@kcorder/proto/fault.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { Connection, OpenCall } from './connection.ts';
import type { Connections } from './connections.ts';
import { Intake, withoutRest } from './intake.ts';
import { doorLimits, isUpload } from './limits.ts';
import { PatientCall } from './patient-call.ts';
import type { UploadWindows } from './upload-windows.ts';

/** What the headers of a call say, and on which connection they came. */
export interface Arrival {
  readonly path: string;
  readonly metadata: Metadata;
  readonly peerNames: string;
  readonly peerCertificate?: Uint8Array;
  readonly peer: string;
}

/** Who makes a call; without a name where a credential is checked later. */
export interface Welcome {
  readonly identity?: string;
}

/** What calls are held against. */
export interface CallDeps {
  readonly connections: Connections;
  readonly budget: ByteBudget;
  readonly windows: UploadWindows;
  /** Calls by what their headers say. */
  readonly arrived: WeakMap<Metadata, GuardedCall>;
  /** Admits a call by its headers, or throws the fault that it ends with. */
  meet(arrival: Arrival): Promise<Welcome>;
  /** Watches a call that was admitted as long as it lives, where its handler does not: `end` ends it. Returns what stops the watching. */
  supervise(arrival: Arrival, end: (fault: Fault) => void): () => void;
  /** A call that never reached its handler. */
  refused(arrival: Arrival, fault: Fault): void;
}

type Method = Pick<ServerMethodDefinition<unknown, unknown>, 'path' | 'requestStream'>;

const strangers = 'strangers';

/** Endings for which nobody who is known pays: those of calls that went well, were given up, or failed by the collector's own fault. */
const free: readonly status[] = [status.OK, status.CANCELLED, status.UNAVAILABLE, status.DEADLINE_EXCEEDED];

/** How long the peer of a call that has ended has to end its half of it, and, if it failed, to take the answers before its status. */
const farewellMs = 1_000;

/** One call from its headers to its end: nothing of its body is read before its headers are admitted, and no more than it may have. */
export class GuardedCall implements OpenCall {
  readonly #deps: CallDeps;
  readonly #connection: Connection;
  readonly #stream: ServerHttp2Stream;
  readonly #method: Method;
  readonly #call: ServerInterceptingCallInterface;
  readonly #intake: Intake;
  #arrival: Arrival | undefined;
  #who = strangers;
  /** An answer is on its way and not taken. */
  #isSending = false;
  #readMeanwhile = 0;
  #heldRead: (() => void) | undefined;
  /** Since its headers came, or its handler asked for a message; undefined while it asks for none. */
  #waitingSinceMs: number | undefined = performance.now();
  #messageSinceMs = 0;
  /** All of its request is here. */
  #isWhole = false;
  #isAdmitted = false;
  #isServed = false;
  #isCharged = false;
  #hasEnded = false;
  #stopWatching = (): void => undefined;

  constructor(
    deps: CallDeps,
    connection: Connection,
    stream: ServerHttp2Stream,
    method: Method,
    call: ServerInterceptingCallInterface,
  ) {
    this.#deps = deps;
    this.#connection = connection;
    this.#stream = stream;
    this.#method = method;
    this.#call = call;
    this.#intake = new Intake(deps.budget, method.path);
    connection.calls.add(this);
    // Before Node buffers it: a stream that is paused has no 'data'.
    const push = stream.push.bind(stream);
    stream.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
      if (chunk === null) return push(null);
      // Once the call has ended, it is dropped.
      return this.#hasEnded || (this.#takes(chunk) && push(withoutRest(chunk), encoding));
    };
    stream.once('close', () => this.#closed());
    // Node keeps a stream that was reset without an error as long as its answers are not taken, which nobody does any more.
    stream.once('aborted', () => {
      this.#closed();
      process.nextTick(() => stream.destroy());
    });
  }

  get answersLeft(): number {
    return this.#stream.writableLength;
  }

  get isServed(): boolean {
    return this.#isServed;
  }

  /** The call as grpc-js goes on with it. */
  intercept(): ServerInterceptingCall {
    return new PatientCall(
      this.#call,
      {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, admitted) => void this.#meet(metadata, () => admitted(metadata)),
            onReceiveMessage: (message, given) => {
              this.#waitingSinceMs = undefined;
              this.#isServed = true;
              this.#intake.give();
              given(message);
            },
            // grpc-js reads on after the last message, and nothing more can come.
            onReceiveHalfClose: (ended) => {
              this.#isWhole = true;
              this.#waitingSinceMs = undefined;
              ended();
            },
            // Also when grpc-js ends the call below this guard: its time is over, or was never readable.
            onCancel: () => void setImmediate(() => this.#end({ code: status.CANCELLED })),
          }),
        sendStatus: (ending, next) => this.#conclude(ending, next),
      },
      (read) => this.#read(read),
      (isSending) => this.#sending(isSending),
      () => this.#hasRoom(),
    );
  }

  /** Its handler has failed. grpc-js keeps the status until the answers before it are taken, which may be never. */
  failed(fault: Fault): void {
    if (this.answersLeft > 0) this.#end(fault.toStatus());
  }

  checkTime(nowMs: number): void {
    if (this.#hasEnded || this.#waitingSinceMs === undefined) return;
    const isDue = !this.#isServed || !this.#method.requestStream || this.#intake.isInMessage;
    const sinceMs = Math.max(this.#waitingSinceMs, this.#messageSinceMs);
    const allowedMs = this.#connection.identity === undefined ? doorLimits.strangerMessageMs : doorLimits.messageMs;
    if (isDue && nowMs - sinceMs > allowedMs)
      this.#refuse(new Fault('deadline_exceeded', `the message of this call took longer than ${allowedMs / 1000} s`));
  }

  async #meet(metadata: Metadata, admitted: () => void): Promise<void> {
    const { peerNames, peerCertificate, peer } = this.#connection;
    const { path } = this.#method;
    this.#deps.arrived.set(metadata, this);
    this.#arrival = { path, metadata, peerNames, ...(peerCertificate && { peerCertificate }), peer };
    try {
      const { identity } = await this.#deps.meet(this.#arrival);
      if (this.#hasEnded) return;
      if (identity !== undefined) {
        this.#deps.connections.identify(this.#connection, identity);
        this.#deps.connections.called(identity, this);
        this.#who = identity;
      }
      const isWide = identity !== undefined && isUpload(path);
      const window = isWide ? this.#deps.windows.widen(this.#stream, identity, this.#connection.calls.size) : undefined;
      this.#isAdmitted = true;
      const payer = identity === undefined ? { whose: strangers, part: this.#connection.origin } : { whose: identity };
      this.#intake.admit(payer, window);
      this.#stopWatching = this.#deps.supervise(this.#arrival, (fault) => this.#refuse(fault));
    } catch (error) {
      this.#refuse(Fault.from(error));
      return;
    }
    admitted();
  }

  #read(read: () => void): void {
    // Who does not take the answers gets no further ones: not every handler waits for them.
    if (this.#isSending && this.#readMeanwhile >= doorLimits.readWhileSending) {
      this.#heldRead = () => this.#read(read);
      return;
    }
    this.#readMeanwhile += 1;
    if (!this.#isWhole) this.#waitingSinceMs ??= performance.now();
    read();
  }

  /** Returns true if an answer may be sent. If the caller has too much to take, the call ends: many may have come before the first answer. */
  #hasRoom(): boolean {
    if (this.#hasEnded) return true;
    try {
      this.#deps.connections.checkAnswers(this.#who);
      return true;
    } catch (error) {
      this.#refuse(Fault.from(error));
      return false;
    }
  }

  #sending(isSending: boolean): void {
    this.#isSending = isSending;
    if (isSending) return;
    this.#readMeanwhile = 0;
    const held = this.#heldRead;
    this.#heldRead = undefined;
    held?.();
  }

  /** Returns true if the piece may be kept. One that may not ends the call, if it is a stranger's still, at its admission. */
  #takes(chunk: Buffer): boolean {
    const wasInMessage = this.#intake.isInMessage;
    const fault = this.#intake.take(chunk);
    if (!wasInMessage || this.#intake.unread > 0) this.#messageSinceMs = performance.now();
    if (fault !== undefined && this.#isAdmitted) this.#refuse(fault);
    return fault === undefined;
  }

  #refuse(fault: Fault): void {
    if (this.#hasEnded || this.#stream.destroyed) return;
    const ending = fault.toStatus();
    const hasAnswers = this.#stream.headersSent;
    this.#call.sendStatus(ending);
    this.#end(ending);
    if (this.#arrival !== undefined) this.#deps.refused(this.#arrival, fault);
    // The rest of the body would be read only to be thrown away. A status that follows answers is sent a little later, and lost if it closed now.
    if (!hasAnswers && !this.#stream.readableEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  /** Sends how a handler ended the call: at once, or in its turn when whoever is known has had too many calls fail. */
  #conclude<T extends Pick<StatusObject, 'code'>>(ending: T, next: (ending: T) => void): void {
    if (this.#hasEnded) return;
    const pays = free.includes(ending.code) ? undefined : this.#identity;
    const waitMs = pays === undefined ? undefined : this.#deps.connections.mayFail(pays);
    if (waitMs !== undefined) {
      setTimeout(() => this.#conclude(ending, next), waitMs).unref();
      return;
    }
    this.#isCharged = pays !== undefined;
    next(ending);
    this.#end(ending);
  }

  #end({ code }: Pick<StatusObject, 'code'>): void {
    // One that was reset is charged when it is closed.
    if (this.#hasEnded || this.#stream.aborted || this.#stream.destroyed) return;
    this.#hasEnded = true;
    this.#release();
    if (code === status.OK) this.#deps.connections.succeeded(this.#connection);
    if (this.#identity === undefined ? code !== status.OK : !this.#isCharged && !free.includes(code))
      this.#deps.connections.failed(this.#connection, 'refused', this.#identity);
    // Its peer may leave its half of the stream open for ever, and what comes on it would count for nobody.
    if (!this.#stream.readableEnded)
      setTimeout(() => this.#stream.close(constants.NGHTTP2_NO_ERROR), farewellMs).unref();
    // What was on its way when the right to it ended is not left for later. Whoever was only slow comes again, and is told why then.
    if (code !== status.OK && this.answersLeft > 0)
      setTimeout(() => this.#stream.close(constants.NGHTTP2_REFUSED_STREAM), farewellMs).unref();
  }

  /** Whose call it is, or else the connection's. */
  get #identity(): string | undefined {
    return this.#who === strangers ? this.#connection.identity : this.#who;
  }

  #closed(): void {
    this.#connection.calls.delete(this);
    this.#deps.connections.left(this.#who, this);
    if (!this.#hasEnded) this.#deps.connections.failed(this.#connection, 'reset', this.#identity);
    this.#hasEnded = true;
    this.#release();
  }

  #release(): void {
    this.#stopWatching();
    this.#intake.release();
  }
}
