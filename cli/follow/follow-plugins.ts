import { Fault } from '@kcorder/proto/fault.ts';
import type { PluginResult } from '@kcorder/proto/gen/kcorder/v1/analysis_pb.ts';
import type { Session } from '../session.ts';
import { pause, pauseMs, worthAnotherTry } from './pause.ts';
import { leavable } from './stream.ts';

/**
 * Tells of the plugins of an analysis that change, until it has ended or the signal fires. Whoever may not see them, or asks a collector that cannot
 * tell, is told nothing. Never rejects.
 */
export async function followPlugins(
  results: Session['results'],
  captureId: string,
  signal: AbortSignal,
  changed: (plugins: readonly PluginResult[]) => void,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      const stream = leavable((own) => results.watchAnalysis({ captureId }, { signal: own }), signal);
      for await (const { plugins } of stream) {
        failures = 0;
        if (plugins.length > 0) changed(plugins);
      }
      return;
    } catch (error) {
      const fault = Fault.from(error);
      if (signal.aborted || !worthAnotherTry(fault, failures)) return;
      failures += 1;
      await pause(pauseMs(failures, fault), signal).catch(() => undefined);
    }
  }
}
