import { messageLimitBytes } from '@kcorder/proto/bridge/channel.ts';

/** Largest message of a call that is not named below. */
const usualMessageBytes = 16 << 10;

const largerMessages: Readonly<Record<string, number>> = {
  '/kcorder.v1.IngestService/Upload': messageLimitBytes,
  '/kcorder.v1.IngestService/SendKernelTypes': messageLimitBytes,
  '/kcorder.v1.SymbolsService/ImportSymbols': messageLimitBytes,
  // A hello with the memory ranges and the VMCOREINFO of a large machine.
  '/kcorder.v1.AgentService/Attach': 256 << 10,
  // A thousand names of nodes.
  '/kcorder.v1.ScheduleService/CreateSchedule': 256 << 10,
  // A credential of 16 KiB with the key beside it.
  '/kcorder.v1.EnrolmentService/Enrol': 20 << 10,
};

/** Largest message that a method takes, in bytes. */
export const messageBytes = (path: string): number => largerMessages[path] ?? usualMessageBytes;

/** Calls for which a node's session gets a wide window. */
export const isUpload = (path: string): boolean =>
  path === '/kcorder.v1.IngestService/Upload' || path === '/kcorder.v1.IngestService/SendKernelTypes';

/** How much of the collector connections and calls may take up. Times in milliseconds, sizes in bytes. docs/limits.md has them for people. */
export const doorLimits = {
  connections: 16_384,
  /** Connections at one port that have not shown who they are, also those in the handshake. */
  strangers: 512,
  strangersOfAddress: 128,
  connectionsOfIdentity: 32,
  streamsOfConnection: 32,
  streamsOfStranger: 8,
  callsOfIdentity: 64,
  /** New connections of one address; each that shows who it is gives its token back. */
  arrivals: { burst: 192, everyMs: 100 },
  /** Handshakes of one address: a fleet that comes back is faster than strangers. */
  handshakes: { agents: { atOnce: 2, everyMs: 5 }, api: { atOnce: 1, everyMs: 20 } },
  /**
   * Calls that fail or are reset, of one address without identity, and of one identity. Beyond it, connections are ended; of somebody known, calls
   * that reached their handler are only answered later.
   */
  failuresOfAddress: { burst: 40, everyMs: 100 },
  failuresOfIdentity: { burst: 200, everyMs: 50 },
  /** Calls of one identity that the audit log, which nobody can shorten, has a record of: one token for each 4 KiB of the request, and at least one. */
  actsOfIdentity: { burst: 60, everyMs: 100, bytesOfToken: 4 << 10 },
  /** Triggers of schedules by one identity: each writes a row for every node. */
  triggersOfIdentity: { burst: 10, everyMs: 10_000 },
  /** Failures on one connection without identity, while its address has a budget left. */
  failuresOfStranger: 5,
  /** From the first byte until a call is admitted. */
  strangerMs: 10_000,
  /** Without any call on it. */
  idleMs: 60_000,
  /** For a whole message once it has begun, and for the first message of a call. */
  messageMs: 60_000,
  strangerMessageMs: 10_000,
  /** Bodies that are not finished and windows of uploads, of all connections. */
  bodies: 96 << 20,
  /** The part of it that one identity, or all strangers together, may fill with bodies. */
  bodiesOfOne: 8 << 20,
  /** The part of that which strangers from one address may fill: twelve requests to enrol of the largest, a hundred usual ones. */
  bodiesOfAddress: 256 << 10,
  window: 64 << 10,
  /** Messages of one call that its handler has not asked for: an upload's window holds some 250 of the smallest that agents send. */
  unread: 512,
  /** Of a call that is not admitted: a receive window, and what its pieces take up. */
  early: 128 << 10,
  /** Messages that end in one piece of a body: each is decoded at once. */
  messagesOfPiece: 64,
  /** Pieces in which a message may arrive, and one more for each KiB of it. */
  pieces: 64,
  /** Answers of one identity that are not taken: above it, no further call and no further answer. */
  answersOfIdentity: 32 << 20,
  /** Messages that are read of a call while an answer of it is not taken. */
  readWhileSending: 16,
  /** A connection that takes less than `answersTaken` of more than `answersLeft` in this time is ended. */
  answersMs: 60_000,
  answersLeft: 2 << 20,
  answersTaken: 16 << 10,
} as const;
