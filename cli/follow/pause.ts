import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '@kcorder/proto/fault.ts';
import { spokenByCollector } from '../failure.ts';

const firstMs = 250;
const longestMs = 5000;

/** A collector that asks for more patience than this is not waited for longer. */
const longestAskedMs = 60_000;

/** How often a call is made again. */
const mostTurns = 10;

/** How long to wait before the next attempt, in ms, after a number of failures in a row (at least 1), and what the collector asks for. */
export function pauseMs(failures: number, fault?: Fault): number {
  const asked = Math.min(longestAskedMs, fault?.retryAfterMs ?? 0);
  return Math.max(asked, Math.min(longestMs, firstMs * 2 ** (failures - 1)));
}

/** Waits; throws the signal's reason when it fires first. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/**
 * Whether a stream that ended with this fault, after a number of failures in a row, is worth opening again: the connection broke, the collector asks
 * for patience, or the token has ended that opened it, and another may be had.
 */
export function worthAnotherTry(fault: Fault, failures: number): boolean {
  if (fault.retry || (fault.code === 'unauthenticated' && failures === 0)) return true;
  // A collector that is killed resets its streams: grpc-js shows that as CANCELLED or INTERNAL.
  return !spokenByCollector(fault) && (fault.code === 'canceled' || fault.code === 'internal');
}

/** Makes a call, again when the collector says how long to wait for its turn: the call was refused, so nothing was done. */
export async function inTurn<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await call();
    } catch (error) {
      const fault = Fault.from(error);
      if (fault.code !== 'resource_exhausted' || fault.retryAfterMs === undefined || failures > mostTurns) throw error;
      await pause(pauseMs(failures, fault), signal);
    }
  }
}

/** A signal that fires after a time with `deadline_exceeded`, or with the other one. Without a time, the other one alone. */
export function deadlineSignal(signal: AbortSignal, spanMs: number | undefined, message: string): AbortSignal {
  if (spanMs === undefined) return signal;
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Fault('deadline_exceeded', message)), spanMs).unref();
  return AbortSignal.any([signal, controller.signal]);
}
