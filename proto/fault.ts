import { Metadata, type StatusObject, status } from '@grpc/grpc-js';

interface FaultTraits {
  readonly grpc: status;
  readonly http: number;
  /** Exit code of the command line. */
  readonly exit: number;
  /** Whether the same call may succeed later without any change. */
  readonly retry: boolean;
}

const traits = (grpc: status, http: number, exit: number, retry: boolean): FaultTraits => ({ grpc, http, exit, retry });

/** One row per fault code: gRPC status, HTTP status, exit code of the command line, whether to try again. */
export const faults = {
  invalid_argument: traits(status.INVALID_ARGUMENT, 400, 2, false),
  unauthenticated: traits(status.UNAUTHENTICATED, 401, 1, false),
  permission_denied: traits(status.PERMISSION_DENIED, 403, 1, false),
  approval_required: traits(status.PERMISSION_DENIED, 403, 1, false),
  capture_unknown: traits(status.NOT_FOUND, 404, 1, false),
  node_unknown: traits(status.NOT_FOUND, 404, 1, false),
  schedule_unknown: traits(status.NOT_FOUND, 404, 1, false),
  schedule_exists: traits(status.ALREADY_EXISTS, 409, 1, false),
  schedule_configured: traits(status.FAILED_PRECONDITION, 409, 1, false),
  symbols_unknown: traits(status.NOT_FOUND, 404, 1, false),
  pod_unknown: traits(status.NOT_FOUND, 404, 1, false),
  node_offline: traits(status.UNAVAILABLE, 503, 1, true),
  node_busy: traits(status.FAILED_PRECONDITION, 409, 1, true),
  preflight_refused: traits(status.FAILED_PRECONDITION, 412, 1, false),
  already_attached: traits(status.ALREADY_EXISTS, 409, 1, true),
  lease_held: traits(status.ALREADY_EXISTS, 409, 1, true),
  stream_fenced: traits(status.ABORTED, 409, 1, false),
  not_ordered: traits(status.PERMISSION_DENIED, 403, 1, false),
  capture_ended: traits(status.FAILED_PRECONDITION, 409, 1, false),
  capture_running: traits(status.FAILED_PRECONDITION, 409, 1, true),
  offset_gap: traits(status.OUT_OF_RANGE, 416, 1, true),
  checksum_mismatch: traits(status.DATA_LOSS, 422, 1, true),
  integrity_conflict: traits(status.DATA_LOSS, 409, 1, false),
  ceiling_exceeded: traits(status.OUT_OF_RANGE, 413, 1, false),
  disk_too_small: traits(status.RESOURCE_EXHAUSTED, 507, 1, false),
  quota_exceeded: traits(status.RESOURCE_EXHAUSTED, 507, 1, false),
  storage_failed: traits(status.UNAVAILABLE, 503, 1, true),
  store_refused: traits(status.FAILED_PRECONDITION, 502, 1, false),
  evidence_missing: traits(status.DATA_LOSS, 410, 1, false),
  evidence_damaged: traits(status.DATA_LOSS, 422, 1, false),
  evidence_conflict: traits(status.ALREADY_EXISTS, 409, 1, false),
  evidence_deleted: traits(status.NOT_FOUND, 410, 1, false),
  results_exist: traits(status.FAILED_PRECONDITION, 409, 1, false),
  evidence_held: traits(status.FAILED_PRECONDITION, 423, 1, false),
  evidence_retained: traits(status.FAILED_PRECONDITION, 423, 1, false),
  cluster_unavailable: traits(status.UNAVAILABLE, 503, 1, true),
  version_unsupported: traits(status.FAILED_PRECONDITION, 426, 1, false),
  config_invalid: traits(status.FAILED_PRECONDITION, 500, 2, false),
  database_unusable: traits(status.FAILED_PRECONDITION, 500, 1, false),
  acquirer_unusable: traits(status.FAILED_PRECONDITION, 500, 1, false),
  canceled: traits(status.CANCELLED, 499, 130, false),
  deadline_exceeded: traits(status.DEADLINE_EXCEEDED, 504, 124, true),
  resource_exhausted: traits(status.RESOURCE_EXHAUSTED, 429, 1, true),
  message_too_large: traits(status.RESOURCE_EXHAUSTED, 413, 1, false),
  unavailable: traits(status.UNAVAILABLE, 503, 1, true),
  unimplemented: traits(status.UNIMPLEMENTED, 501, 1, false),
  internal: traits(status.INTERNAL, 500, 1, false),
} satisfies Record<string, FaultTraits>;

/** The closed list of what can go wrong. */
export type FaultCode = keyof typeof faults;

const metadataKey = 'kcorder-fault';
/** By gRFC A6: clients of any language that retry by themselves wait so long. */
const pushbackKey = 'grpc-retry-pushback-ms';

/** The optional parts of a fault, besides its sentence. */
export interface FaultOptions {
  readonly cause?: unknown;
  /** How long to wait before the same call may succeed. */
  readonly retryAfterMs?: number;
}

/** A broken promise. The message says what happened, to which object, and what to do next; it may cross the wire. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: FaultCode, message: string, options?: FaultOptions) {
    // Half of a character, where a sentence quotes a part of a text, cannot be sent: grpc-js throws while it encodes it.
    super(message.toWellFormed(), options);
    this.name = 'Fault';
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }

  /** Whether the same call may succeed later without any change. */
  get retry(): boolean {
    return faults[this.code].retry;
  }

  /**
   * Any thrown value as a fault. Errors of grpc-js keep the code that the other end named; anything else is internal, its text kept as
   * the cause only.
   */
  static from(error: unknown): Fault {
    if (error instanceof Fault) return error;
    if (isStatus(error)) return fromStatus(error);
    if (error instanceof Error && error.name === 'AbortError') {
      return error.cause instanceof Fault
        ? error.cause
        : new Fault('canceled', 'the call was canceled', { cause: error });
    }
    return new Fault('internal', 'an internal error; its cause is in the log of the program that reported it', {
      cause: error,
    });
  }

  /** The fault as a gRPC status: its sentence, its code and when to come again, never its cause. */
  toStatus(): StatusObject {
    const metadata = new Metadata();
    metadata.set(metadataKey, this.code);
    if (this.retryAfterMs !== undefined) metadata.set(pushbackKey, String(Math.ceil(this.retryAfterMs)));
    return { code: faults[this.code].grpc, details: this.message, metadata };
  }
}

const codeOfStatus: Partial<Record<status, FaultCode>> = {
  [status.CANCELLED]: 'canceled',
  [status.INVALID_ARGUMENT]: 'invalid_argument',
  [status.DEADLINE_EXCEEDED]: 'deadline_exceeded',
  [status.PERMISSION_DENIED]: 'permission_denied',
  [status.RESOURCE_EXHAUSTED]: 'resource_exhausted',
  [status.UNAVAILABLE]: 'unavailable',
  [status.UNAUTHENTICATED]: 'unauthenticated',
  [status.UNIMPLEMENTED]: 'unimplemented',
};

function isStatus(error: unknown): error is Error & StatusObject {
  return error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error;
}

function fromStatus(error: Error & StatusObject): Fault {
  const named = error.metadata.get(metadataKey)[0];
  const code = isFaultCode(named) ? named : (codeOfStatus[error.code] ?? 'internal');
  const pushback = /^\d{1,9}$/.exec(String(error.metadata.get(pushbackKey)[0] ?? ''))?.[0];
  const retryAfterMs = pushback === undefined ? {} : { retryAfterMs: Number(pushback) };
  return new Fault(code, error.details || error.message, { cause: error, ...retryAfterMs });
}

function isFaultCode(value: unknown): value is FaultCode {
  return typeof value === 'string' && Object.hasOwn(faults, value);
}

/** The messages of an error and its causes, outermost first: for logs, never for the wire. */
export function causeChain(error: unknown): string[] {
  const messages: string[] = [];
  let current = error;
  while (current !== undefined && messages.length < 8) {
    messages.push(current instanceof Error ? `${current.name}: ${current.message}` : String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return messages;
}
