import { setTimeout as sleep } from 'node:timers/promises';
import { causeChain } from '@kcorder/proto/fault.ts';
import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { captureRunning, checkSystem } from '../preflight/preflight.ts';
import type { Refusal } from '../refusal.ts';
import { type Capture, type CaptureDeps, startCapture } from './capture.ts';

/** An order as it arrived. */
export interface Order {
  readonly captureId: string;
  /** How long it may still be carried out; 0 or less: no longer. */
  readonly validForMs: number;
}

/** How long an order waits for the capture before it. */
const handoverMs = 3_000;

/** Takes the orders: one capture at a time, and none once the agent is about to end. */
export class OrderRunner {
  readonly #deps: CaptureDeps;
  #running: Capture | undefined;
  /** Taken before the acquisition has started, so that two orders at once cannot both pass. */
  #orderedId: string | undefined;
  #closed = false;

  constructor(deps: CaptureDeps) {
    this.#deps = deps;
  }

  /** Ids of the captures whose acquisition lives in this agent. */
  get runningCaptureIds(): string[] {
    return this.#orderedId === undefined ? [] : [this.#orderedId];
  }

  /** Everything that keeps a capture from starting now. Cheap enough for every heartbeat. */
  preflight(): Refusal[] {
    const refusals = checkSystem(this.#deps.system, this.#deps.maskStays);
    const avml = this.#deps.avml.check();
    if (avml !== undefined) refusals.push(avml);
    if (this.#orderedId !== undefined) refusals.push(captureRunning(this.#orderedId));
    return refusals;
  }

  /** Carries out an order; the refusals are empty when it is being carried out, also when it already was. */
  async accept(order: Order): Promise<Refusal[]> {
    if (order.captureId === this.#orderedId) return [];
    if (this.#closed) return [unspecified('the agent is about to end; order the capture again when it is back')];
    if (order.validForMs <= 0) {
      return [unspecified('the order had expired when it arrived; order the capture again')];
    }
    // The collector orders when it knows the last capture to be over; here it may take a moment longer.
    if (this.#running !== undefined)
      await Promise.race([this.#running.done, sleep(handoverMs, undefined, { ref: false })]);
    const refusals = this.preflight();
    if (refusals.length > 0) return refusals;
    this.#orderedId = order.captureId;
    try {
      const start = await startCapture(order.captureId, this.#deps);
      if (start.kind === 'started') {
        this.#adopt(start.capture);
        return [];
      }
      this.#orderedId = undefined;
      return [start.refusal];
    } catch (error) {
      this.#orderedId = undefined;
      this.#deps.log.error({ captureId: order.captureId, causes: causeChain(error) }, 'acquisition did not start');
      const why = error instanceof Error ? error.message : String(error);
      return [unspecified(`the acquisition could not be started: ${why}`)];
    }
  }

  /** Ends a capture by order. False when it does not run here. */
  cancel(captureId: string): boolean {
    if (this.#running?.captureId !== captureId) return false;
    this.#running.cancel();
    return true;
  }

  /** Takes no more orders, ends AVML, and gives the upload `graceMs` to tell the collector. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    const running = this.#running;
    if (running === undefined) return;
    running.endAcquisition();
    const timer = setTimeout(() => running.interrupt(), graceMs);
    await running.done;
    clearTimeout(timer);
  }

  #adopt(capture: Capture): void {
    this.#running = capture;
    if (this.#closed) capture.endAcquisition();
    void capture.done.then(() => {
      this.#running = undefined;
      this.#orderedId = undefined;
    });
  }
}

function unspecified(message: string): Refusal {
  return { reason: PreflightReason.UNSPECIFIED, message };
}
