import { Fault } from '@kcorder/proto/fault.ts';
import type { Capture } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { hasEnded } from '../render/capture-words.ts';
import type { Session } from '../session.ts';
import { pause, pauseMs, worthAnotherTry } from './pause.ts';
import { leavable } from './stream.ts';

/** How to follow a capture. */
export interface FollowOptions {
  readonly signal: AbortSignal;
  /** The collector has already answered: then even the first stream may be tried again. */
  readonly known: boolean;
  /** Told at every break of the stream, with the pause before the next attempt. */
  broke(fault: Fault, pauseMs: number): void;
}

/** The states of a capture until it has ended. A broken stream is opened again after a growing pause, until the signal fires. */
export async function* follow(
  calls: Session['calls'],
  captureId: string,
  { signal, known, broke }: FollowOptions,
): AsyncGenerator<Capture, void, undefined> {
  let failures = 0;
  let answered = known;
  for (;;) {
    let fault = new Fault('unavailable', 'the collector ended the stream before the capture had ended');
    try {
      for await (const { capture } of leavable((own) => calls.watchCapture({ captureId }, { signal: own }), signal)) {
        if (capture === undefined) continue;
        failures = 0;
        answered = true;
        yield capture;
        if (hasEnded(capture)) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      fault = Fault.from(error);
      if (!answered || !worthAnotherTry(fault, failures)) throw fault;
    }
    signal.throwIfAborted();
    failures += 1;
    broke(fault, pauseMs(failures, fault));
    await pause(pauseMs(failures, fault), signal);
  }
}
