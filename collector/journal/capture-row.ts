import { createHash } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Capture, CaptureState, Request } from '../capture/capture.ts';
import type { CaptureEvent } from '../capture/event.ts';
import { decode, encode } from './encode.ts';

interface Read extends Capture {
  readonly durableBytes: number;
}

/** A row of the table captures as a capture. Throws database_unusable when it is none: whoever lists captures leaves it out. */
export function toCapture(row: Record<string, unknown>): Read {
  try {
    const capture = {
      request: decode<Request>(String(row.request)),
      state: decode<CaptureState>(String(row.state)),
      durableBytes: Number(row.durable_bytes),
    };
    const wrong = [...wrongIn(capture, row)];
    if (wrong.length > 0) throw new Error(`${wrong.join(', ')} cannot be`);
    return capture;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fault('database_unusable', `capture ${String(row.id)} cannot be read from the database (${why})`, {
      cause,
    });
  }
}

/** Yields the parts of a capture that nobody could present or add up. */
function* wrongIn({ request, state, durableBytes }: Read, row: Record<string, unknown>): Iterable<string> {
  const acquired = state.phase === 'done' ? state.acquired : state.phase === 'requested' ? undefined : state;
  const evidence = 'evidence' in state ? state.evidence : undefined;
  const interruptions = acquired?.interruptions ?? [];
  if (request.id !== row.id) yield 'its id';
  const texts = [request.node.name, request.node.uid, request.requestedBy, request.reason, request.kernel.banner];
  if (!texts.every((text) => typeof text === 'string')) yield 'its request';
  if ('outcome' in state && typeof state.outcome.kind !== 'string') yield 'its outcome';
  if (state.phase !== row.phase) yield 'its phase';
  const sizes = [
    durableBytes,
    request.ceilingBytes,
    evidence?.bytes ?? 0,
    ...interruptions.map((each) => each.offsetBytes),
  ];
  if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 0)) yield 'its sizes';
  const times = [
    request.requestedAt,
    ...('endedAt' in state ? [state.endedAt] : []),
    ...(acquired === undefined ? [] : [acquired.start.openedAt]),
    ...interruptions.map(({ at }) => at),
  ];
  if (times.some((time) => Number.isNaN(Date.parse(time)))) yield 'its times';
}

/** Returns the detail that goes on record of an event: the facts of a start only once, and of containers their number and digest. */
export function detailOf(event: CaptureEvent, isFirst: boolean): unknown {
  const { kind: _, at: _at, ...detail } = event;
  if (!('start' in detail)) return JSON.parse(encode(detail)) as unknown;
  const { start: told, ...more } = detail;
  if (!isFirst) return more;
  const { containers, ...start } = told;
  const containersSha256 = createHash('sha256').update(encode(containers)).digest('hex');
  return { ...more, start, containers: containers.length, containersSha256 };
}
