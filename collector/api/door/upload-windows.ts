// Why it is done this way: docs/decisions/009-receive-window.md

import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { ByteBudget } from './byte-budget.ts';
import { doorLimits } from './limits.ts';

/** The bytes that the uploads of one session may have under way, for which their identity does not pay. */
export interface WindowShare {
  /** Takes as many of these bytes as are left, and returns how many. */
  take(bytes: number): number;
  give(bytes: number): void;
}

class Uploading implements WindowShare {
  readonly identity: string;
  readonly bytes: number;
  streams = 0;
  #taken = 0;

  constructor(identity: string, bytes: number) {
    this.identity = identity;
    this.bytes = bytes;
  }

  take(bytes: number): number {
    const taken = Math.min(bytes, this.bytes - this.#taken);
    this.#taken += taken;
    return taken;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }
}

/** An upload that moves to a newer connection has one on each for a moment. */
const windowsOfOne = 2;
/** Calls of a connection with a wide window, each of which may fill it: an agent has its attachment, an upload and its kernel types. */
export const callsWhileWide = 4;

/**
 * Lets the sessions on which nodes upload receive up to 8 MiB per round trip, as long as they do: 64 KiB, which all others have, is 16 MB/s at
 * 2 ms. What they may have under way is part of the budget. grpc-js has no option for it.
 */
export class UploadWindows {
  readonly #budget: ByteBudget;
  readonly #sessions = new Map<ServerHttp2Session, Uploading>();

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /**
   * Until this stream is closed its session has a wide window, of which the uploads on it have a share. Other calls can fill it too, and pay for
   * that themselves: so nothing is left of it when the uploads have ended. A session that cannot be set is ended.
   */
  widen(stream: ServerHttp2Stream, identity: string, callsOfConnection: number): WindowShare | undefined {
    const session = stream.session as ServerHttp2Session | undefined;
    if (session === undefined || session.destroyed || stream.destroyed) return undefined;
    const uploading = this.#sessions.get(session) ?? this.#begin(session, identity, callsOfConnection);
    uploading.streams += 1;
    stream.once('close', () => {
      uploading.streams -= 1;
      if (uploading.streams === 0) this.#end(session, uploading);
    });
    return uploading;
  }

  #begin(session: ServerHttp2Session, identity: string, callsOfConnection: number): Uploading {
    const others = [...this.#sessions.values()].filter((one) => one.identity === identity && one.bytes > 0);
    const mayWiden = others.length < windowsOfOne && callsOfConnection <= callsWhileWide;
    const bytes = mayWiden ? this.#budget.takeWindow() : 0;
    const uploading = new Uploading(identity, bytes);
    this.#sessions.set(session, uploading);
    if (bytes > 0) set(session, bytes, callsWhileWide);
    return uploading;
  }

  #end(session: ServerHttp2Session, { bytes }: Uploading): void {
    this.#sessions.delete(session);
    this.#budget.giveWindow(bytes);
    if (bytes > 0 && !session.destroyed) set(session, doorLimits.window, doorLimits.streamsOfConnection);
  }
}

function set(session: ServerHttp2Session, bytes: number, maxConcurrentStreams: number): void {
  try {
    session.setLocalWindowSize(bytes);
    session.settings({ initialWindowSize: bytes, maxConcurrentStreams });
  } catch {
    // A peer that takes no settings.
    session.destroy();
  }
}
