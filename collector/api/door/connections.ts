import type { Socket } from 'node:net';
import { Fault } from '@kcorder/proto/fault.ts';
import { Paces } from '../../identity/pace.ts';
import { Connection, type OpenCall } from './connection.ts';
import { doorLimits } from './limits.ts';
import { Strangers } from './strangers.ts';

/** Why a connection was not taken or was ended. */
export type ConnectionRefusal = 'too_many' | 'too_fast' | 'silent' | 'idle' | 'failures' | 'answers_not_taken';

/** Is told of connections that are not served any further. */
export type ConnectionRefused = (connection: Connection, reason: ConnectionRefusal) => void;

/** All connections of the collector: counted by identity, by port and address where there is none yet, and in all. */
export class Connections {
  readonly #refused: ConnectionRefused;
  readonly #arrivals = new Paces(doorLimits.arrivals.burst, doorLimits.arrivals.everyMs);
  readonly #failuresOfAddress = new Paces(doorLimits.failuresOfAddress.burst, doorLimits.failuresOfAddress.everyMs);
  readonly #failuresOfIdentity = new Paces(doorLimits.failuresOfIdentity.burst, doorLimits.failuresOfIdentity.everyMs);
  readonly #all = new Set<Connection>();
  /** By port: those at one take no places of the other. */
  readonly #strangers = new Map<string, Strangers>();
  readonly #known = new Map<string, Set<Connection>>();
  /** Calls by who makes them: one connection may carry those of several. */
  readonly #calls = new Map<string, Set<OpenCall>>();

  constructor(refused: ConnectionRefused) {
    this.#refused = refused;
  }

  get count(): number {
    return this.#all.size;
  }

  get strangers(): number {
    return [...this.#strangers.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** Takes a connection that has just come to a port of this name, or ends it and gives undefined. */
  arrive(raw: Socket, port: string): Connection | undefined {
    const connection = new Connection(raw, port);
    const reason = this.#noRoomFor(connection);
    if (reason !== undefined) {
      raw.resetAndDestroy();
      this.#refused(connection, reason);
      return undefined;
    }
    this.#all.add(connection);
    this.#strangersAt(port).add(connection);
    raw.once('close', () => this.#left(connection));
    return connection;
  }

  /** Somebody has shown who they are. Throws resource_exhausted when they have too many connections already. */
  identify(connection: Connection, identity: string): void {
    if (connection.identity !== undefined || connection.isEnding) return;
    const theirs = this.#known.get(identity) ?? new Set();
    if (theirs.size >= doorLimits.connectionsOfIdentity && !this.#endIdleOne(theirs))
      throw new Fault(
        'resource_exhausted',
        `${identity} has ${theirs.size} connections already: use one of them, or end some`,
        { retryAfterMs: 5_000 },
      );
    this.#strangersAt(connection.port).delete(connection);
    connection.identified(identity);
    this.#known.set(identity, theirs.add(connection));
    // Who is known pays for what fails, not for coming.
    if (this.#failuresOfIdentity.wait(identity) === undefined) this.succeeded(connection);
  }

  /** Ends the one of these that has been idle for the longest; false when none is. */
  #endIdleOne(connections: ReadonlySet<Connection>): boolean {
    const nowMs = performance.now();
    const idle = [...connections].filter(({ hasStreams }) => !hasStreams);
    const longest = idle.toSorted((a, b) => b.idleMs(nowMs) - a.idleMs(nowMs))[0];
    if (longest === undefined) return false;
    this.#refused(longest, 'too_many');
    // At once: a peer that does not end its half would hold the socket, which nobody counts any more.
    longest.destroy();
    this.#left(longest);
    return true;
  }

  /** Counts a call of this identity until it has left. Throws resource_exhausted when one more is too much. */
  called(identity: string, call: OpenCall): void {
    const calls = this.#calls.get(identity) ?? new Set();
    if (calls.size >= doorLimits.callsOfIdentity)
      throw new Fault('resource_exhausted', `${identity} has ${calls.size} calls open: wait until some have ended`, {
        retryAfterMs: 1_000,
      });
    this.checkAnswers(identity);
    this.#calls.set(identity, calls.add(call));
  }

  /** Returns the bytes of answers that this identity has not taken. */
  answersLeft(identity: string): number {
    let bytes = 0;
    for (const { answersLeft } of this.#calls.get(identity) ?? []) bytes += answersLeft;
    return bytes;
  }

  /** Throws resource_exhausted when this identity has too many answers to take. */
  checkAnswers(identity: string): void {
    const bytes = this.answersLeft(identity);
    if (bytes > doorLimits.answersOfIdentity)
      throw new Fault('resource_exhausted', `${identity} has ${bytes} bytes of answers to take first`, {
        retryAfterMs: 1_000,
      });
  }

  /** A call is over. */
  left(identity: string, call: OpenCall): void {
    remove(this.#calls, identity, call);
  }

  /** A call went well on a connection that names nobody, such as an enrolment: it was no flood. */
  succeeded(connection: Connection): void {
    if (connection.isPaid) this.#arrivals.give(connection.origin);
    connection.isPaid = false;
  }

  /** Charges a call that failed to whoever made it, or gives the milliseconds after which to ask again: then nothing is charged. */
  mayFail(identity: string): number | undefined {
    return this.#failuresOfIdentity.take(identity);
  }

  /** A call on it was refused, or was reset by its peer; `identity` is who made it, undefined for a stranger. */
  failed(connection: Connection, how: 'refused' | 'reset', identity = connection.identity): void {
    const { origin } = connection;
    if (identity !== undefined) {
      if (this.#failuresOfIdentity.take(identity) !== undefined) this.#end(connection, 'failures', how);
      return;
    }
    connection.failures += 1;
    // An address that is shared may have used up its budget: one attempt is left to each newcomer.
    const isOver = this.#failuresOfAddress.take(origin) !== undefined;
    if (isOver || connection.failures >= doorLimits.failuresOfStranger) this.#end(connection, 'failures', how);
  }

  /** Counts streams that never became a call as failures. Called so often that a flood of them is short. */
  countUnseen(): void {
    for (const connection of this.#all)
      for (let left = connection.takeUnseen(); left > 0 && !connection.isEnding; left -= 1)
        this.failed(connection, 'reset');
  }

  /** Ends what has been silent, idle or full for too long. Called every second. */
  sweep(nowMs: number): void {
    for (const connection of this.#all) {
      for (const call of connection.calls) call.checkTime(nowMs);
      if (connection.isEnding) continue;
      const isSilent = connection.identity === undefined && nowMs - connection.sinceMs > doorLimits.strangerMs;
      if (isSilent && !connection.hasStreams) this.#end(connection, 'silent');
      else if (connection.idleMs(nowMs) > doorLimits.idleMs) this.#end(connection, 'idle');
      else if (connection.takesNoAnswers(nowMs)) {
        this.#refused(connection, 'answers_not_taken');
        connection.destroy();
      }
    }
  }

  /** Nothing is served any more. */
  destroyAll(): void {
    for (const connection of this.#all) connection.destroy();
  }

  #end(connection: Connection, reason: ConnectionRefusal, how: 'idle' | 'refused' | 'reset' = 'idle'): void {
    if (connection.isEnding) return;
    this.#refused(connection, reason);
    connection.end(how);
  }

  #noRoomFor({ origin, port, address }: Connection): ConnectionRefusal | undefined {
    if (this.#arrivals.take(origin) !== undefined) return 'too_fast';
    if (this.#all.size >= doorLimits.connections) return 'too_many';
    const strangers = this.#strangersAt(port);
    if (strangers.hasRoomFor(address)) return undefined;
    const leaving = strangers.firstToGo(address, performance.now());
    if (leaving === undefined) return 'too_many';
    this.#refused(leaving, 'too_many');
    leaving.destroy();
    this.#left(leaving);
    return undefined;
  }

  #left(connection: Connection): void {
    if (!this.#all.delete(connection)) return;
    const { identity, port } = connection;
    if (identity === undefined) this.#strangersAt(port).delete(connection);
    else remove(this.#known, identity, connection);
  }

  #strangersAt(port: string): Strangers {
    const strangers = this.#strangers.get(port) ?? new Strangers();
    this.#strangers.set(port, strangers);
    return strangers;
  }
}

function remove<T>(groups: Map<string, Set<T>>, name: string, member: T): void {
  const group = groups.get(name);
  group?.delete(member);
  if (group?.size === 0) groups.delete(name);
}
