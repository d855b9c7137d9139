// Why it is done this way: docs/decisions/035-workers.md

import type { Duplex } from 'node:stream';
import type { Confined } from './analysis.ts';
import { LineTooLong, readLines } from './lines.ts';
import type { OutputBudget, OutputShare } from './output-budget.ts';
import type { PluginRecord } from './plugin-record.ts';
import type { RunnerPlugin } from './plugins.ts';
import { isChild, killChild } from './process-tree.ts';
import { type Dispatch, ProtocolError, parseLine, type RunnerLine } from './protocol.ts';
import type { Stop, Watch, Watched } from './watch.ts';

/** Ends what a worker that has died left of a line. */
const cutOff = 0x18;

type LineOf<Type extends RunnerLine['type']> = Extract<RunnerLine, { readonly type: Type }>;

/** The run of which a slot is a part. */
export interface SlotRun {
  /** Pid of the process that starts the workers. */
  readonly parent: number;
  readonly record: PluginRecord;
  readonly budget: OutputBudget;
  readonly watch: Watch;
  readonly lineBytes: number;
  /** Why all workers are being killed. */
  stopped(): Stop | undefined;
  /** Takes the next plugin that nobody has run; undefined when none is left. `last`: there is none after it. */
  next(): { readonly plugin: RunnerPlugin; readonly last: boolean } | undefined;
  confined(told: Confined): void;
  kernel(told: LineOf<'kernel'>): void;
  /** Whether a worker, of whichever slot, has opened the kernel. */
  opened(): boolean;
  /** The whole run has come to nothing. */
  fatal(told: LineOf<'fatal'>): void;
  /** A worker broke off. `early`: before it could run a plugin, and then there is no other in this slot. */
  broke(why: { readonly reason: string; readonly detail: string }, early: boolean): void;
  /** The share has printed too much; it can be another slot's. */
  printedTooMuch(share: OutputShare): void;
}

/** One of the places in which workers run plugins: it gives them one plugin after the other, and starts over with the next when one has died. */
export class Slot implements Watched {
  readonly #lines: Duplex;
  readonly #run: SlotRun;
  #pid: number | undefined;
  /** How many workers were started here, and how many of them have died. */
  #starts = 0;
  #turn = 0;
  #killWanted = false;
  #confined = false;
  #ready = false;
  #plugin: string | undefined;
  #share: OutputShare | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Why this worker is being killed; nothing that it says counts any more. */
  #stopped: Stop | undefined;

  constructor(lines: Duplex, run: SlotRun) {
    this.#lines = lines;
    this.#run = run;
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  get share(): OutputShare | undefined {
    return this.#share;
  }

  /** A worker was started here. */
  started(pid: number): void {
    this.#pid = pid;
    this.#starts += 1;
    if (this.#killWanted) this.#kill();
    else if (!this.#ready && this.#stopped === undefined) this.#startTimer();
  }

  /** Kills the worker that is at work here; its plugin ends with this reason. */
  stop(why: Stop): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = why;
    clearTimeout(this.#timer);
    this.#kill();
  }

  /** No further worker is started here. */
  close(): void {
    this.#lines.end();
  }

  /** Follows the workers until there are no more. Rejects when rows cannot be written. */
  async follow(): Promise<void> {
    try {
      for await (const line of readLines(untilGone(this.#lines), this.#run.lineBytes)) await this.#read(line);
    } finally {
      clearTimeout(this.#timer);
      this.#lines.destroy();
    }
  }

  async #read(bytes: Buffer | LineTooLong): Promise<void> {
    try {
      if (bytes instanceof LineTooLong) {
        this.stop({ reason: 'output_limit', detail: `the runner printed ${bytes.message}` });
        return;
      }
      this.#count(bytes.length + 1);
      if (bytes.at(-1) === cutOff) return;
      if (this.#stopped === undefined) await this.#take(parseLine(bytes));
      else if (isDeath(bytes)) await this.#died(parseLine(bytes));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.stop({ reason: 'protocol', detail: error.message });
    }
  }

  #count(bytes: number): void {
    this.#share ??= this.#run.budget.open();
    const tooMuch = this.#run.budget.take(this.#share, bytes);
    if (tooMuch !== undefined) this.#run.printedTooMuch(tooMuch);
  }

  async #take(line: RunnerLine): Promise<void> {
    switch (line.type) {
      case 'confined':
        this.#takeConfined(line);
        break;
      case 'kernel':
        this.#takeKernel(line);
        break;
      case 'started':
      case 'rows':
      case 'ended':
        await this.#takePlugin(line);
        break;
      case 'fatal':
        this.#takeFatal(line);
        break;
      case 'died':
        await this.#died(line);
        break;
      case 'ready':
      case 'worker':
      case 'done':
        throw new ProtocolError(`a worker printed a "${line.type}" line`);
    }
  }

  #takeConfined({ level, landlockAbi, seccomp }: LineOf<'confined'>): void {
    if (this.#confined) throw new ProtocolError('the runner told its confinement twice');
    this.#confined = true;
    this.#run.confined({ level, landlockAbi, seccomp });
  }

  #takeKernel(line: LineOf<'kernel'>): void {
    if (!this.#confined) throw new ProtocolError('the runner read the image before it told its confinement');
    if (this.#ready) throw new ProtocolError('the runner told the kernel twice');
    this.#ready = true;
    this.#run.kernel(line);
    this.#dispatch();
  }

  async #takePlugin(line: LineOf<'started' | 'rows' | 'ended'>): Promise<void> {
    if (line.plugin !== this.#plugin)
      throw new ProtocolError(`the runner printed ${line.type} of ${line.plugin}, which it was not told to run`);
    await this.#run.record.take(line);
    if (line.type !== 'ended') return;
    this.#plugin = undefined;
    this.#settle(line.state === 'rows');
    if (this.#stopped === undefined) this.#dispatch();
  }

  /** Where the kernel could be opened no worker speaks for the others: what has taken it over would end them all. */
  #takeFatal(line: LineOf<'fatal'>): void {
    if (this.#run.opened()) this.stop(line);
    else this.#run.fatal(line);
  }

  async #died(line: RunnerLine): Promise<void> {
    if (line.type !== 'died') return;
    if (this.#lives()) throw new ProtocolError('a worker told that it has died');
    const plugin = this.#plugin;
    // The death of one that nobody has started, too, or what is sent from now on would be for another than it is meant for.
    const early = !this.#ready || this.#starts <= this.#turn;
    const ended = this.#lines.writableEnded && plugin === undefined && this.#stopped === undefined;
    const why = this.#stopped ?? this.#run.stopped() ?? { reason: line.how, detail: `a worker ended with ${line.how}` };
    clearTimeout(this.#timer);
    this.#turn += 1;
    this.#plugin = undefined;
    this.#stopped = undefined;
    this.#ready = false;
    this.#confined = false;
    this.#settle(false);
    if (plugin !== undefined) await this.#run.record.fail(plugin, why.reason);
    // Of a run that was ended as a whole there is one reason.
    if (ended || this.#run.stopped() !== undefined) return;
    this.#run.broke(why, early);
    if (early) this.close();
    else if (!this.#lines.writableEnded) this.#startTimer();
  }

  /** Its parent has waited for a worker before it tells that it has died; one that another has replaced was waited for. */
  #lives(): boolean {
    return this.#starts === this.#turn + 1 && this.#pid !== undefined && isChild(this.#pid, this.#run.parent);
  }

  /** Gives the worker its next plugin, or time to end. */
  #dispatch(): void {
    this.#startTimer();
    if (this.#lines.writableEnded) return;
    const next = this.#run.next();
    if (next === undefined) {
      this.close();
      return;
    }
    this.#plugin = next.plugin.name;
    const dispatch: Dispatch = { turn: this.#turn, plugin: next.plugin };
    this.#lines.write(`${JSON.stringify(dispatch)}\n`);
    if (next.last) this.close();
  }

  #settle(kept: boolean): void {
    const share = this.#share;
    this.#share = undefined;
    if (share === undefined) return;
    if (kept) this.#run.budget.keep(share);
    else this.#run.budget.refundHalf(share);
  }

  #startTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#run.watch.step((why) => this.stop(why));
  }

  /** The worker that runs here, or the next one that is told of when this one is not known yet. */
  #kill(): void {
    // It has died already, and that is about to be told.
    if (this.#starts > this.#turn + 1) return;
    const killed = this.#pid !== undefined && killChild(this.#pid, this.#run.parent);
    this.#killWanted = !killed && this.#starts <= this.#turn;
  }
}

/** What comes until the other end has gone, which breaks the stream when something that was sent is left unread. */
async function* untilGone(stream: Duplex): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch {
    // Why it has gone is told by its exit.
  }
}

/** Whether it may be a `died` line; the rest of what a worker said that is being killed is not read. */
function isDeath(line: Buffer): boolean {
  return line.length < 100 && line.includes('"died"');
}
