import { Fault } from '@kcorder/proto/fault.ts';
import type { Capture } from '@kcorder/proto/gen/kcorder/v1/capture_pb.ts';
import { spanText } from '../output/figures.ts';
import { startLiveLine } from '../output/live-line.ts';
import { durationText } from '../program/duration.ts';
import type { Session } from '../session.ts';
import { follow } from './follow.ts';
import { deadlineSignal } from './pause.ts';
import { PluginWatch } from './plugin-watch.ts';
import { createProgress } from './progress.ts';

const seldomMs = 15_000;

/** How long to wait, and whether the capture is known to exist. */
export interface AwaitOptions {
  readonly timeoutMs: number;
  readonly known: boolean;
  /** Other captures are awaited beside it: each has lines of its own, none is redrawn. */
  readonly several?: boolean;
}

/** Follows a capture on stderr until it and its analysis have ended. An interruption or a timeout leaves it running and says so. */
export async function awaitCapture(session: Session, captureId: string, options: AwaitOptions): Promise<Capture> {
  const { calls, terminal, paint } = session;
  const message = `capture ${captureId} has not ended within ${durationText(options.timeoutMs)}`;
  const signal = deadlineSignal(terminal.interrupt, options.timeoutMs, message);
  const progress = createProgress();
  const sink = options.several === true ? { ...terminal.err, isTty: false, columns: undefined } : terminal.err;
  await using plugins = new PluginWatch(session);
  using line = startLiveLine(
    sink,
    paint,
    () => [progress.text(Date.now()), plugins.brief].filter((part) => part !== '').join('  '),
    options.several === true ? seldomMs : undefined,
  );
  let latest: Capture | undefined;
  try {
    const states = follow(calls, captureId, {
      signal,
      known: options.known,
      broke: (_fault, pauseMs) =>
        line.warn(`the connection to the collector broke; trying again in ${spanText(Math.max(1000, pauseMs))}`),
    });
    for await (const capture of states) {
      latest = capture;
      if (options.several !== true) plugins.update(capture, line);
      if (progress.update(capture, Date.now())) line.refresh();
    }
    await plugins.end();
  } catch (error) {
    if (signal.aborted && (latest !== undefined || options.known)) throw leftRunning(Fault.from(error), captureId);
    throw error;
  }
  if (latest === undefined) throw new Fault('internal', `the collector told nothing about capture ${captureId}`);
  return latest;
}

function leftRunning(fault: Fault, captureId: string): Fault {
  const what = fault.code === 'deadline_exceeded' ? fault.message : `interrupted; capture ${captureId} goes on`;
  const next = `Go on with \`kcorder watch ${captureId}\`, stop it with \`kcorder cancel ${captureId}\`.`;
  return new Fault(fault.code, `${what}. ${next}`, { cause: fault });
}
