import type { Duration } from '@bufbuild/protobuf/wkt';
import {
  type Retention,
  type RunCount,
  RunState,
  RunStateSchema,
  type Schedule,
  type ScheduleSpec,
  type ScheduleTarget,
} from '@kcorder/proto/gen/kcorder/v1/schedule_pb.ts';
import { specText } from '../calls/analysis-choice.ts';
import type { Cell } from '../output/grid.ts';
import { durationText } from '../program/duration.ts';
import { enumWord } from './enum-word.ts';

/** The state of a run in one word, in capitals when it is not good. */
function runWord(state: RunState): string {
  const word = enumWord(RunStateSchema, state);
  return isBad(state) ? word.toUpperCase() : word;
}

/** The same as a cell. */
export function runCell(state: RunState): string | Cell {
  const text = runWord(state);
  return isBad(state) ? { text, tone: 'bad' } : text;
}

/** Whether a run was wanted and there is no complete capture of it. */
export function isBad(state: RunState): boolean {
  return state === RunState.FAILED || state === RunState.MISSED;
}

/** Runs by how they stand, `3 succeeded, 1 FAILED`; a dash when there is none. */
export function countsText(counts: readonly RunCount[]): string {
  return counts.map(({ state, count }) => `${count} ${runWord(state)}`).join(', ') || '-';
}

/** The time zone that a schedule's ticks are meant in. */
export function zoneOf(spec: ScheduleSpec | undefined): string {
  return spec?.timeZone || 'UTC';
}

/** Which nodes, in words. */
export function targetText(target: ScheduleTarget | undefined): string {
  const { nodeNames = [], nodeLabels = '', podNamespaces = [], podLabels = '' } = target ?? {};
  const pods = [
    podLabels === '' ? '' : `with labels ${podLabels}`,
    podNamespaces.length === 0 ? '' : `in ${podNamespaces.join(' or ')}`,
  ].filter((part) => part !== '');
  const parts = [
    nodeNames.join(', '),
    nodeLabels === '' ? '' : `with labels ${nodeLabels}`,
    pods.length === 0 ? '' : `where pods ${pods.join(' ')} run`,
  ].filter((part) => part !== '');
  return parts.join('; ') || 'every node that has an agent';
}

/** What is done at a tick. */
export function doesText(spec: ScheduleSpec | undefined): string {
  if (spec?.analyze !== true) return 'capture';
  const what = specText(spec.analysis);
  return what === '' ? 'capture and analyze' : `capture and analyze (${what})`;
}

/** What of its captures stays, in words. */
export function retentionText(retention: Retention | undefined): string {
  const { keepLast = 0, ttl } = retention ?? {};
  const newest = `the newest ${keepLast} complete captures of each node`;
  if (ttl === undefined) return keepLast === 0 ? 'everything' : newest;
  const young = `what is younger than ${spanOf(ttl)}`;
  return keepLast === 0 ? young : `${newest}, and ${young}`;
}

/** Who made a schedule. */
export function makerOf({ configured, createdBy }: Schedule): string {
  return configured ? 'configuration' : createdBy || '-';
}

/** A duration of the contract in the form that the command line takes. */
export function spanOf(duration: Duration): string {
  return durationText(Number(duration.seconds) * 1000 + Math.floor(duration.nanos / 1e6));
}
