import { createSecureContext } from 'node:tls';
import type { experimental } from '@grpc/grpc-js';
import { Fault } from '../fault.ts';

/** PEM texts of one end of a mutual TLS connection. */
export interface TlsIdentity {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

type CaListener = experimental.CaCertificateUpdateListener;
type IdentityListener = experimental.IdentityCertificateUpdateListener;

/**
 * The TLS identity of one end that changes while it runs: new connections are made with the newest value, those that stand have what they began
 * with; whether they may live on is for whoever watches it to say. It stays with the last good value, since grpc-js drops every new connection once it is told that there is none.
 */
export class LiveIdentity {
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();
  readonly #watchers = new Set<(identity: TlsIdentity) => void>();
  #current: TlsIdentity | undefined;

  /** An end that has no value yet makes no connection; it waits for the first one. */
  constructor(identity?: TlsIdentity) {
    if (identity !== undefined) this.set(identity);
  }

  /** The newest value; undefined before the first. */
  get current(): TlsIdentity | undefined {
    return this.#current;
  }

  /** Takes a new value. Throws config_invalid, and stays with the one before, when TLS cannot use it: a key of another certificate, no PEM. */
  set(identity: TlsIdentity): void {
    const { ca, certificate, key } = identity;
    try {
      createSecureContext({ ca, cert: certificate, key });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Fault('config_invalid', `TLS cannot use the certificate, its key and the authorities (${why})`, {
        cause,
      });
    }
    this.#current = identity;
    for (const listener of this.#caListeners) listener({ caCertificate: ca });
    for (const listener of this.#identityListeners) listener(pair(identity));
    for (const watcher of this.#watchers) watcher(identity);
  }

  /** Tells each new value, and at once the one that there is. Returns the function that ends it. */
  watch(watcher: (identity: TlsIdentity) => void): () => void {
    this.#watchers.add(watcher);
    if (this.#current !== undefined) watcher(this.#current);
    return () => void this.#watchers.delete(watcher);
  }

  /** For grpc-js, as both of its providers: of the authorities and of the own certificate. Always the same object, which grpc-js compares. */
  asProvider(): experimental.CertificateProvider {
    return this.#provider;
  }

  readonly #provider: experimental.CertificateProvider = {
    addCaCertificateListener: (listener) => {
      this.#caListeners.add(listener);
      soon(this.#caListeners, listener, () => this.#current && { caCertificate: this.#current.ca });
    },
    removeCaCertificateListener: (listener) => void this.#caListeners.delete(listener),
    addIdentityCertificateListener: (listener) => {
      this.#identityListeners.add(listener);
      soon(this.#identityListeners, listener, () => this.#current && pair(this.#current));
    },
    removeIdentityCertificateListener: (listener) => void this.#identityListeners.delete(listener),
  };
}

function pair({ certificate, key }: TlsIdentity): experimental.IdentityCertificateUpdate {
  return { certificate, privateKey: key };
}

/** Tells a new listener the newest value, but not before it is wholly in place: the credentials of a grpc-js server miss what comes at once. */
function soon<T>(
  listeners: Set<(update: T) => void>,
  listener: (update: T) => void,
  latest: () => T | undefined,
): void {
  process.nextTick(() => {
    const update = latest();
    if (update !== undefined && listeners.has(listener)) listener(update);
  });
}
