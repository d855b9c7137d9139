import type { Calls } from '@kcorder/proto/bridge/connect.ts';
import { causeChain, Fault, type FaultCode } from '@kcorder/proto/fault.ts';
import type { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { Logger } from 'pino';
import { Backoff, type BackoffRange } from '../backoff.ts';
import type { Acquisition } from './acquisition.ts';
import { type CaptureFacts, type Seal, uploadOnce } from './upload.ts';

/** How the upload of an acquisition ended. */
export type UploadEnd =
  | { readonly kind: 'sealed'; readonly seal: Seal }
  /** The collector, or our own check, said that it can never succeed. */
  | { readonly kind: 'refused'; readonly fault: Fault }
  /** Nothing became durable for as long as is allowed. */
  | { readonly kind: 'stalled'; readonly idleMs: number }
  | { readonly kind: 'interrupted' };

/** The state of the connection to the collector, as it changes. */
export interface Route {
  /** Resolves once there is a connection, or when it is not worth waiting for one any longer. */
  readonly reachable: (signal: AbortSignal) => Promise<unknown>;
  /** Resolves when there is a newer connection than that of the calls that run: they should go on there. */
  readonly replaced: (signal: AbortSignal) => Promise<void>;
}

/** How long and how often to try. */
export interface UploadTimeouts {
  readonly backoff: BackoffRange;
  /** Without any durable progress for this long the upload is given up. */
  readonly stallMs: number;
}

/** What an upload works with besides its acquisition. */
export interface UploadDeps extends Route {
  readonly ingest: Calls<typeof IngestService>;
  readonly timeouts: UploadTimeouts;
  readonly log: Logger;
}

/** Faults after which no attempt of this acquisition can succeed. Others, even those that the table calls lasting, may be of the way there. */
const final: ReadonlySet<FaultCode> = new Set([
  'stream_fenced',
  'capture_ended',
  'capture_unknown',
  'not_ordered',
  'permission_denied',
  'integrity_conflict',
  'ceiling_exceeded',
  'lease_held',
  'disk_too_small',
  'evidence_missing',
  'invalid_argument',
  'version_unsupported',
  'unimplemented',
]);

/** The same bytes are sent again this often after the collector found them damaged. */
const checksumResends = 3;

/**
 * Uploads an acquisition to its end over as many streams as that takes: after a break the next one goes on from what the collector holds. For a
 * newer connection a stream that works is left between two chunks, and only when the next one is there.
 */
export async function uploadAll(
  facts: CaptureFacts,
  acquisition: Acquisition,
  { ingest, timeouts, log, reachable, replaced }: UploadDeps,
  interrupt: AbortSignal,
): Promise<UploadEnd> {
  const watch = watchProgress(acquisition, timeouts.stallMs);
  const signal = AbortSignal.any([interrupt, watch.signal]);
  const backoff = new Backoff(timeouts.backoff);
  const damage = new DamageCount();
  try {
    let before: (() => void) | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const heldFrom = acquisition.window.heldFrom;
      if (attempt > 1 && before === undefined) facts.counters.resumptions += 1;
      try {
        const end = await uploadOnce(ingest, facts, acquisition, { attempt, before, replaced }, signal);
        if (end.kind === 'sealed') return end;
        before = end.leave;
        log.info({ attempt, durableBytes: acquisition.window.heldFrom }, 'upload moves to a newer connection');
      } catch (error) {
        before = undefined;
        if (interrupt.aborted) return { kind: 'interrupted' };
        if (watch.signal.aborted) return { kind: 'stalled', idleMs: timeouts.stallMs };
        const fault = Fault.from(error);
        const durableBytes = acquisition.window.heldFrom;
        if (final.has(fault.code)) return { kind: 'refused', fault };
        if (fault.code === 'checksum_mismatch' && damage.count(durableBytes) > checksumResends) {
          return { kind: 'refused', fault };
        }
        if (durableBytes > heldFrom) backoff.reset();
        log.warn(
          { attempt, fault: fault.code, durableBytes, causes: causeChain(fault) },
          'upload broke off; trying again',
        );
        await backoff.wait(signal, fault.retryAfterMs);
        await reachable(signal);
      }
    }
  } catch (error) {
    if (interrupt.aborted) return { kind: 'interrupted' };
    if (watch.signal.aborted) return { kind: 'stalled', idleMs: timeouts.stallMs };
    throw error;
  } finally {
    watch.stop();
  }
}

/** Counts how often in a row the bytes after the same durable offset arrived damaged. */
class DamageCount {
  #offset = -1;
  #count = 0;

  count(offset: number): number {
    this.#count = offset === this.#offset ? this.#count + 1 : 1;
    this.#offset = offset;
    return this.#count;
  }
}

/** Fires its signal when the durable offset has not moved for `stallMs`. */
function watchProgress({ window }: Acquisition, stallMs: number): { signal: AbortSignal; stop(): void } {
  const stalled = new AbortController();
  let heldFrom = window.heldFrom;
  let movedAt = performance.now();
  const timer = setInterval(
    () => {
      if (window.heldFrom !== heldFrom) {
        heldFrom = window.heldFrom;
        movedAt = performance.now();
      } else if (performance.now() - movedAt >= stallMs) {
        stalled.abort(new Fault('deadline_exceeded', 'nothing became durable for too long'));
      }
    },
    Math.min(stallMs / 10, 5_000),
  );
  return { signal: stalled.signal, stop: () => clearInterval(timer) };
}
