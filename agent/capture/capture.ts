import type { Calls } from '@kcorder/proto/bridge/connect.ts';
import { causeChain } from '@kcorder/proto/fault.ts';
import type { IngestService } from '@kcorder/proto/gen/kcorder/v1/ingest_pb.ts';
import type { Logger } from 'pino';
import type { Avml } from '../avml/avml.ts';
import { listContainers } from '../containers.ts';
import type { Counters } from '../counters.ts';
import { parseIomem } from '../kernel/iomem.ts';
import { readText } from '../kernel/read.ts';
import type { Refusal } from '../refusal.ts';
import type { SystemPaths } from '../system.ts';
import { Acquisition } from './acquisition.ts';
import { type Route, type UploadEnd, type UploadTimeouts, uploadAll } from './resume.ts';
import type { WindowSize } from './window.ts';

/** What a capture works with. */
export interface CaptureDeps extends Route {
  readonly system: SystemPaths;
  /** Why the agent could not unmask what the container runtime hides, if so. */
  readonly maskStays?: string | undefined;
  readonly avml: Avml;
  /** Folder on tmpfs for the FIFO. */
  readonly runDir: string;
  readonly window: WindowSize;
  readonly timeouts: UploadTimeouts;
  readonly ingest: Calls<typeof IngestService>;
  readonly counters: Counters;
  readonly log: Logger;
}

/** A capture whose acquisition was started. */
export interface Capture {
  readonly captureId: string;
  /** Settles when AVML is gone and the upload is over; never rejects. */
  readonly done: Promise<void>;
  /** An order ends it: AVML dies, what was read is still sent. */
  cancel(): void;
  /** The agent must end: AVML dies, what was read is still sent. */
  endAcquisition(): void;
  /** Gives up what was not sent. */
  interrupt(): void;
}

/** The capture, or why it was not started. */
export type CaptureStart =
  | { readonly kind: 'started'; readonly capture: Capture }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** Starts AVML and the upload of what it writes. Preflight has passed. */
export async function startCapture(captureId: string, deps: CaptureDeps): Promise<CaptureStart> {
  const { system, avml } = deps;
  const log = deps.log.child({ captureId });
  const start = await Acquisition.start(avml, system.kcore, deps.runDir, deps.window);
  if (start.kind === 'refused') return start;
  const { acquisition } = start;
  deps.counters.began(acquisition.window);
  let canceled = false;
  const interrupted = new AbortController();
  const facts = {
    captureId,
    acquirer: avml.acquirer,
    bootId: (readText(system.bootId) ?? '').trim(),
    leftOutMemory: parseIomem(readText(system.iomem) ?? '').leftOut,
    containers: listContainers(system.containerLogs),
    canceled: () => canceled,
    counters: deps.counters,
  };
  log.info({ acquisitionId: acquisition.id, argv: acquisition.argv }, 'acquisition started');
  const uploaded = uploadAll(facts, acquisition, { ...deps, log }, interrupted.signal);
  const done = uploaded
    .then(
      (end) => report(end, acquisition, log),
      (error: unknown) => log.error({ causes: causeChain(error) }, 'upload failed'),
    )
    .then(() => acquisition.abandon())
    .then(() => deps.counters.ended(acquisition.end));
  const capture: Capture = {
    captureId,
    done,
    cancel: () => {
      canceled = true;
      acquisition.kill();
    },
    endAcquisition: () => acquisition.kill(),
    interrupt: () => interrupted.abort(),
  };
  return { kind: 'started', capture };
}

function report(end: UploadEnd, acquisition: Acquisition, log: Logger): void {
  const { readBytes, heldFrom } = acquisition.window;
  const facts = {
    readBytes,
    durableBytes: heldFrom,
    exitCode: acquisition.end?.exitCode,
    signal: acquisition.end?.signal,
  };
  switch (end.kind) {
    case 'sealed':
      log.info({ ...facts, sha256: Buffer.from(end.seal.sha256).toString('hex') }, 'evidence sealed');
      return;
    case 'refused':
      log.error({ ...facts, fault: end.fault.code, causes: causeChain(end.fault) }, 'capture ended without a seal');
      return;
    case 'stalled':
      log.error(
        { ...facts, idleMs: end.idleMs, reason: 'network_stall' },
        'nothing became durable at the collector for too long; AVML is ended and the rest is dropped',
      );
      return;
    case 'interrupted':
      log.warn(facts, 'the agent ends; what was not sent is dropped');
      return;
  }
}
