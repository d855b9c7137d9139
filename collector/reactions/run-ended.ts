import { causeChain } from '@kcorder/proto/fault.ts';
import type { OpenedScheduleEvents } from '../schedule/open.ts';
import type { Told } from './told.ts';

/** A run of a schedule has ended, or something came between schedules and their runs. */
export function whenRunEnds({ metrics, notifier, log }: Told): OpenedScheduleEvents {
  return {
    runEnded: (run) => {
      const { schedule, state, reason, ticks: count } = run;
      metrics.runEnded(run);
      if (state === 'missed') notifier.tell({ kind: 'run_missed', schedule, reason, count });
      if (state !== 'succeeded') log.warn(run, 'a run of a schedule did not succeed');
    },
    failed: (what, error) => log.warn({ causes: causeChain(error) }, what),
    clockJumped: (ms) => log.warn({ ms }, 'the clock was set'),
    fileRefused: (fault) => {
      metrics.reloadFailed('schedules');
      log.error({ message: fault.message }, 'the schedules file could not be used; what was read before stays in use');
    },
    fileTaken: (count) => log.info({ schedules: count }, 'the schedules file is in use'),
  };
}
