import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { WatchCaptureResponseSchema } from '@kcorder/proto/gen/kcorder/v1/operator_pb.ts';
import type { CaptureJournal, JournaledCapture } from '../journal/capture-journal.ts';
import type { Reanalyses } from '../journal/reanalyses.ts';

type Response = MessageInitShape<typeof WatchCaptureResponseSchema>;

const atMostEveryMs = 250;

/** The capture now and at every change, at most four times a second, until it and what was asked for again have ended. Throws capture_unknown. */
export async function* watchCapture(
  { journal, again }: { readonly journal: CaptureJournal; readonly again: Reanalyses },
  captureId: string,
  present: (capture: JournaledCapture) => Response['capture'] & object,
  signal: AbortSignal,
): AsyncIterable<Response> {
  let changed = Promise.withResolvers<void>();
  const stops = [
    journal.watch((change) => {
      if (change.captureId === captureId) changed.resolve();
    }),
    again.watch((id) => {
      if (id === captureId) changed.resolve();
    }),
  ];
  signal.addEventListener('abort', () => changed.resolve(), { once: true });
  try {
    while (true) {
      const capture = journal.get(captureId);
      yield { capture: present(capture) };
      const waits = again.get(captureId);
      if (capture.state.phase === 'done' && (waits === undefined || waits.kind === 'ended')) return;
      await changed.promise;
      signal.throwIfAborted();
      changed = Promise.withResolvers<void>();
      await sleep(atMostEveryMs, undefined, { signal });
    }
  } finally {
    for (const stop of stops) stop();
  }
}
