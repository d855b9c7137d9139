import { X509Certificate } from 'node:crypto';
import type { TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { LiveIdentity } from '@kcorder/proto/bridge/live-identity.ts';
import type { Authority } from './authority.ts';
import { PeerTrust } from './peer-trust.ts';
import { readTlsDirectory } from './tls-directory.ts';

/** Where the collector's own certificate comes from, and whose certificates it takes. */
export interface ServingDeps {
  /** Unset: no authority of its own. */
  readonly authority?: Authority;
  /** Directory with ca.crt, tls.crt and tls.key; empty: the authority issues the certificate. */
  readonly tlsDir: string;
  /** Whether whoever has a certificate of the directory's ca.crt is taken in too. */
  readonly trustsDirectory: boolean;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** Something could not be renewed or read again: what was there stays in use. */
  refused(error: unknown): void;
}

const lookMs = 15_000;
/** How late at most the connection of a certificate that is over ends; its calls are refused at once. */
const sweepMs = 1_000;
const turnMs = 3_600_000;

/** The identity that the collector's ports show, kept up to date while connections live on. The last good one stays in use. */
export class Serving {
  readonly identity = new LiveIdentity();
  /** Whose certificates hold now. */
  readonly peers: PeerTrust;
  readonly #deps: ServingDeps;
  readonly #now: () => number;
  #issued: { certificate: string; key: string } | undefined;
  #turnedMs: number;
  #timers: NodeJS.Timeout[] = [];

  private constructor(deps: ServingDeps, now: () => number) {
    this.#deps = deps;
    this.#now = now;
    this.peers = new PeerTrust(this.identity, now);
    this.#turnedMs = now();
  }

  /** Throws config_invalid when there is nothing to serve with. */
  static async open(deps: ServingDeps, now: () => number = Date.now): Promise<Serving> {
    const serving = new Serving(deps, now);
    await serving.#renew();
    serving.#timers = [
      setInterval(() => void serving.look(), lookMs),
      setInterval(() => serving.peers.sweep(), sweepMs),
    ];
    for (const timer of serving.#timers) timer.unref();
    return serving;
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** When the certificate that is shown ends. */
  get notAfter(): Date | undefined {
    const { current } = this.identity;
    return current === undefined ? undefined : new X509Certificate(current.certificate).validToDate;
  }

  /** One look at everything that may have to be renewed. Never throws. */
  async look(): Promise<void> {
    const { authority, refused } = this.#deps;
    const sinceMs = this.#now() - this.#turnedMs;
    // A clock that was put back was ahead before: what was made then may hold for nobody now.
    if (authority !== undefined && (sinceMs < 0 || sinceMs >= turnMs)) {
      this.#turnedMs += sinceMs;
      await authority.turn().catch(refused);
    }
    await this.#renew().catch(refused);
  }

  async #renew(): Promise<void> {
    const { tlsDir, authority, trustsDirectory } = this.#deps;
    const directory = tlsDir === '' ? undefined : await readTlsDirectory(tlsDir);
    const pair = directory ?? (await this.#pair());
    const cas = [authority?.bundle ?? '', trustsDirectory ? (directory?.ca.toString() ?? '') : ''];
    const next = {
      ca: Buffer.from(cas.join('\n')),
      certificate: Buffer.from(pair.certificate),
      key: Buffer.from(pair.key),
    };
    if (!same(this.identity.current, next)) this.identity.set(next);
  }

  async #pair(): Promise<{ certificate: string; key: string }> {
    const { authority, names, addresses } = this.#deps;
    if (authority === undefined) throw new Error('neither a directory nor an authority');
    if (this.#issued === undefined || this.#isDue(this.#issued.certificate))
      this.#issued = await authority.issueServer(names, addresses);
    return this.#issued;
  }

  /** Past half its life, or from a clock that was ahead. */
  #isDue(certificate: string): boolean {
    const { validFromDate, validToDate } = new X509Certificate(certificate);
    const [fromMs, untilMs] = [validFromDate.getTime(), validToDate.getTime()];
    return this.#now() < fromMs || this.#now() > (fromMs + untilMs) / 2;
  }
}

function same(one: TlsIdentity | undefined, other: TlsIdentity): boolean {
  return one !== undefined && (['ca', 'certificate', 'key'] as const).every((part) => one[part].equals(other[part]));
}
