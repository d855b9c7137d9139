// Why it is done this way: docs/decisions/030-standing-connections.md

import { createHash, X509Certificate } from 'node:crypto';
import type { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import { certificatesOf } from './pem.ts';

/** Times in milliseconds since 1970. */
interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A certificate with which somebody is connected. */
interface Peer {
  readonly certificate: X509Certificate;
  /** What ends each of its connections. */
  readonly ends: Set<(why: string) => void>;
  /** When all of its chain holds; undefined when no authority of now vouches for it. */
  span: Span | undefined;
}

/** Longest that a TLS handshake may take, in milliseconds. */
export const handshakeMs = 10_000;

/**
 * Holds the certificates of peers against the clock and the authorities of now: a handshake says only how it was when the connection began. The
 * chain is worked out once per certificate and bundle.
 */
export class PeerTrust {
  readonly #now: () => number;
  readonly #peers = new Map<string, Peer>();
  #bundle: Buffer | undefined;
  #authorities: readonly X509Certificate[] = [];
  #changedMs = Number.NEGATIVE_INFINITY;

  constructor(identity: LiveIdentity, now: () => number = Date.now) {
    this.#now = now;
    identity.watch(({ ca }) => this.#take(ca));
  }

  /** Throws unauthenticated when a peer's certificate (DER) does not hold at this moment. */
  check(certificate: Uint8Array): void {
    const why = this.#problemOf(this.#peers.get(keyOf(certificate)) ?? this.#peerOf(certificate));
    if (why !== undefined) throw new Fault('unauthenticated', why);
  }

  /** A handshake with this certificate (DER) has succeeded. `end` is told when the connection must end. Returns what to call when it has. */
  stand(certificate: Uint8Array, end: (why: string) => void): () => void {
    const key = keyOf(certificate);
    const peer = this.#peers.get(key) ?? this.#peerOf(certificate);
    // Node does not give out the intermediates that came with it, so the handshake's word holds until the authorities change.
    if (peer.span === undefined && performance.now() - this.#changedMs > handshakeMs)
      peer.span = spanOf(peer.certificate);
    const why = this.#problemOf(peer);
    if (why !== undefined) {
      end(why);
      return () => undefined;
    }
    this.#peers.set(key, peer);
    peer.ends.add(end);
    return () => {
      peer.ends.delete(end);
      if (peer.ends.size === 0 && this.#peers.get(key) === peer) this.#peers.delete(key);
    };
  }

  /** Ends every connection whose certificate does not hold any more. */
  sweep(): void {
    for (const peer of [...this.#peers.values()]) {
      const why = this.#problemOf(peer);
      if (why !== undefined) for (const end of [...peer.ends]) end(why);
    }
  }

  #take(bundle: Buffer): void {
    if (this.#bundle?.equals(bundle)) return;
    // The first bundle was there before any handshake.
    if (this.#bundle !== undefined) this.#changedMs = performance.now();
    this.#bundle = bundle;
    this.#authorities = certificatesOf(bundle.toString());
    for (const peer of this.#peers.values()) peer.span = chainOf(peer.certificate, this.#authorities);
    this.sweep();
  }

  #peerOf(der: Uint8Array): Peer {
    const certificate = new X509Certificate(der);
    return { certificate, ends: new Set(), span: chainOf(certificate, this.#authorities) };
  }

  #problemOf({ certificate: { subjectAltName = 'no name' }, span }: Peer): string | undefined {
    if (span === undefined)
      return `the client certificate (${subjectAltName}) is of no authority that is trusted now: get one that this collector's authority issued`;
    const nowMs = this.#now();
    if (span.fromMs <= nowMs && nowMs < span.untilMs) return undefined;
    const [from, until] = [new Date(span.fromMs).toISOString(), new Date(span.untilMs).toISOString()];
    return `the client certificate (${subjectAltName}) holds from ${from} to ${until}, and not now: come with a new one`;
  }
}

const keyOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('base64');

const spanOf = ({ validFromDate, validToDate }: X509Certificate): Span => ({
  fromMs: validFromDate.getTime(),
  untilMs: validToDate.getTime(),
});

/**
 * When a certificate holds together with all of its issuers, by the way that holds longest; undefined when none leads to a self-signed authority.
 * Usages and lengths of paths were checked by the handshake.
 */
function chainOf(certificate: X509Certificate, authorities: readonly X509Certificate[]): Span | undefined {
  let best: Span | undefined;
  for (const issuer of authorities) {
    if (!issuer.ca || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) continue;
    const others = authorities.filter((other) => other !== issuer);
    const above = issuer.checkIssued(issuer) ? spanOf(issuer) : chainOf(issuer, others);
    if (above === undefined) continue;
    const own = spanOf(certificate);
    const span = { fromMs: Math.max(own.fromMs, above.fromMs), untilMs: Math.min(own.untilMs, above.untilMs) };
    if (best === undefined || span.untilMs > best.untilMs) best = span;
  }
  return best;
}
