import type {
  AcquisitionEnd,
  AcquisitionStart,
  CaptureState,
  Evidence,
  KeptStart,
  Outcome,
  Request,
} from '../capture/capture.ts';
import type { CaptureEvent } from '../capture/event.ts';

/** A moment of the collector's clock. */
export const at = '2026-01-01T00:00:00.000Z';

export const request: Request = {
  id: 'c-1',
  node: { name: 'n1', uid: 'uid-n1' },
  requestedBy: 'operator/alice',
  reason: 'a test',
  requestedAt: at,
  ceilingBytes: 1000,
  kernel: {
    release: '6.1.0',
    banner: 'Linux version 6.1.0',
    buildId: 'ab',
    vmcoreinfo: '',
    architecture: 'x86_64',
    cosBuildId: '',
    bootId: 'boot-1',
    machineId: '',
    lockdown: 'none',
    ramRanges: [{ start: 0x1000n, end: 0xffff_ffff_ffffn }],
  },
  agentVersion: '0.1.0',
};

export const start: AcquisitionStart = {
  acquisitionId: 'acquisition-1',
  acquirer: { name: 'avml', version: '0.21.0', sha256: 'cd' },
  argv: ['avml'],
  startedAtAgent: at,
  openedAt: at,
  clockOffsetMs: -3,
  bootId: 'boot-1',
  containers: [],
};

export const end: AcquisitionEnd = {
  bytes: 100,
  sha256: 'ef',
  exitCode: 0,
  signal: '',
  stderrTail: '',
  firstByteAtAgent: at,
  lastByteAtAgent: at,
  endedAtAgent: at,
  canceled: false,
};

export const evidence: Evidence = { bytes: 100, sha256: 'ef', file: 'image.lime' };
export const complete: Outcome = { kind: 'complete' };
export const partial: Outcome = { kind: 'partial', reason: 'network_stall', detail: 'no byte became durable' };

/** The part of the start that a state holds. */
export const kept: KeptStart = (({ containers: _, ...facts }) => facts)(start);

const acquired = { start: kept, interruptions: [{ at, offsetBytes: 10, cause: 'the connection broke' }] };

/** One state of every phase. */
export const states = {
  requested: { phase: 'requested' },
  acquiring: { phase: 'acquiring', epoch: 2, attempt: 2, ...acquired },
  sealing: { phase: 'sealing', outcome: complete, end, ...acquired },
  sealed: { phase: 'sealed', outcome: complete, evidence, endedAt: at, ...acquired },
  analyzing: { phase: 'analyzing', outcome: complete, evidence, endedAt: at, ...acquired },
  done: { phase: 'done', outcome: complete, evidence, endedAt: at, analysis: { kind: 'done' }, acquired },
} satisfies { [P in CaptureState['phase']]: CaptureState & { phase: P } };

/** One event of every kind, each as the ordinary run of things has it. */
export const events = {
  refused: { kind: 'refused', at, detail: 'kcore is masked' },
  expired: { kind: 'expired', at, detail: 'nobody took it up' },
  opened: { kind: 'opened', at, start, attempt: 3, durableBytes: 50, cause: 'the connection broke' },
  finished: { kind: 'finished', at, end, durableBytes: 100 },
  broken: { kind: 'broken', at, reason: 'network_stall', detail: 'no byte became durable' },
  canceled: { kind: 'canceled', at, by: 'operator/alice' },
  sealed: { kind: 'sealed', at, evidence, outcome: complete },
  lost: { kind: 'lost', at, outcome: { kind: 'failed', reason: 'storage_failed', detail: 'the disk lost it' } },
  analysis_started: { kind: 'analysis_started', at },
  analysis_ended: { kind: 'analysis_ended', at, ending: { kind: 'done' } },
} satisfies { [K in CaptureEvent['kind']]: CaptureEvent & { kind: K } };
