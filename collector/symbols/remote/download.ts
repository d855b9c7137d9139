import type { ObjectVersion } from './object-version.ts';
import type { Failed } from './timeouts.ts';

/** Part of an object. */
export interface ByteRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What to get. */
export interface DownloadRequest {
  readonly url: URL;
  /**
   * The bytes wanted; the whole object without it. A server without ranges sends the whole object in answer to the first request
   * (RFC 9110 section 14.2), and then the whole object is taken.
   */
  readonly range?: ByteRange;
  /** What earlier answers told of the object: bytes of another one are not taken. Only with `range`. */
  readonly version?: ObjectVersion;
  /** Largest whole object taken, by what it declares and by what comes. */
  readonly limitBytes: number;
}

/**
 * Takes bytes at their offset in the object. After a start anew, offsets that were given before come again with other bytes. `declaredBytes` is
 * the size of the object when the whole of it is coming and the server told.
 *
 * Synchronous on purpose: a body that waits for a slow reader while its server closes the connection ends the whole process by an assertion in
 * Node 24's fetch (nodejs/undici issue 5360). A body that is read without ever waiting for anything but itself does not get there.
 */
export type Take = (offsetBytes: number, bytes: Buffer, declaredBytes: number | undefined) => void;

/** How a download ended. */
export type DownloadEnd =
  /** `whole`: everything was given, `version.sizeBytes` bytes from offset 0 on. `bytesRead`: of bodies, retries included. */
  | { readonly kind: 'ok'; readonly whole: boolean; readonly version: ObjectVersion; readonly bytesRead: number }
  | { readonly kind: 'absent'; readonly status: number }
  | { readonly kind: 'forbidden'; readonly status: number }
  /** The object is no longer the one of `version`, or ranges of it cannot be had reliably: begin anew or take it whole. */
  | { readonly kind: 'changed'; readonly reason: string }
  /** The object is not wanted; `problem` is a clause about it. */
  | { readonly kind: 'rejected'; readonly problem: string }
  | Failed;
