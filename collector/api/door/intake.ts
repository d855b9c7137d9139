import { Fault } from '@kcorder/proto/fault.ts';
import type { ByteBudget, Payer } from './byte-budget.ts';
import { doorLimits, messageBytes } from './limits.ts';
import { MessageMeter } from './message-meter.ts';
import type { WindowShare } from './upload-windows.ts';

/** Memory that a piece or a message takes up besides its bytes. */
const overheadBytes = 256;

/**
 * The part of its requests that a call has sent and its handler has not been given. It is charged when it arrives: a paused stream buffers, and
 * each piece of it, of one byte too, is an object.
 */
export class Intake {
  readonly #budget: ByteBudget;
  readonly #path: string;
  readonly #meter: MessageMeter;
  /** Charges for whole messages. */
  readonly #unread: number[] = [];
  #pieces = 0;
  /** Undefined until the call is admitted: until then nobody pays, so that strangers use up nothing of others. */
  #who: Payer | undefined;
  #window: WindowShare | undefined;
  #early = 0;
  #budgeted = 0;
  #windowed = 0;
  #fault: Fault | undefined;

  constructor(budget: ByteBudget, path: string) {
    this.#budget = budget;
    this.#path = path;
    this.#meter = new MessageMeter(messageBytes(path));
  }

  /** A message has begun and not ended. */
  get isInMessage(): boolean {
    return this.#meter.isInMessage;
  }

  get unread(): number {
    return this.#unread.length;
  }

  /** Charges a piece, or returns the fault for which the call ends: then the piece must not be kept. */
  take(chunk: Uint8Array): Fault | undefined {
    this.#fault ??= this.#take(chunk);
    return this.#fault;
  }

  /** From now on `who` pays, also for what has arrived; a window that was granted pays for its bytes. Throws if that is too much. */
  admit(who: Payer, window?: WindowShare): void {
    this.#who = who;
    this.#window = window;
    if (!this.#charge(this.#early, 0)) this.#fault ??= tooMuch();
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** The handler is given the next message. */
  give(): void {
    this.#return(this.#unread.shift() ?? 0);
  }

  /** Nothing is kept any more. */
  release(): void {
    this.#return(this.#budgeted + this.#windowed);
    this.#unread.length = 0;
  }

  #take(chunk: Uint8Array): Fault | undefined {
    this.#pieces += 1;
    const unread = this.#unread.length;
    const problem = this.#meter.take(chunk, (bytes) => {
      this.#unread.push(bytes + overheadBytes * (this.#pieces + 1));
      this.#pieces = 0;
    });
    if (problem?.kind === 'too_large')
      return new Fault(
        'message_too_large',
        `a message of ${problem.bytes} bytes is more than ${this.#path} takes (${messageBytes(this.#path)})`,
      );
    if (problem?.kind === 'compressed')
      return new Fault('unimplemented', 'compressed messages are not taken: send it as it is');
    const completed = this.#unread.length - unread;
    if (completed > doorLimits.messagesOfPiece || this.#unread.length > doorLimits.unread)
      return new Fault('resource_exhausted', 'more messages at once than are read: wait for answers', {
        retryAfterMs: 1_000,
      });
    if (this.#pieces > doorLimits.pieces + this.#meter.messageBytes / 1024)
      return new Fault(
        'resource_exhausted',
        `a message of ${this.#meter.messageBytes} bytes came in more than ${this.#pieces - 1} pieces: send larger frames`,
      );
    return this.#charge(chunk.length, overheadBytes * (1 + completed)) ? undefined : tooMuch();
  }

  #charge(bytes: number, overhead: number): boolean {
    if (this.#who === undefined) {
      this.#early += bytes + overhead;
      return this.#early <= doorLimits.early;
    }
    const windowed = this.#window?.take(bytes) ?? 0;
    this.#windowed += windowed;
    const own = bytes - windowed + overhead;
    if (!this.#budget.take(this.#who, own)) return false;
    this.#budgeted += own;
    return true;
  }

  #return(charge: number): void {
    const own = Math.min(charge, this.#budgeted);
    this.#budgeted -= own;
    if (this.#who !== undefined) this.#budget.give(this.#who, own);
    const windowed = Math.min(charge - own, this.#windowed);
    this.#windowed -= windowed;
    this.#window?.give(windowed);
  }
}

/** The piece without the rest of what was read from the socket with it, which it would keep in memory. */
export function withoutRest(piece: Buffer): Buffer {
  return piece.length * 4 < piece.buffer.byteLength ? Buffer.from(new Uint8Array(piece).buffer) : piece;
}

const tooMuch = (): Fault =>
  new Fault('resource_exhausted', 'too much is being sent at once: come again in a second', { retryAfterMs: 1_000 });
