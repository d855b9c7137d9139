import { X509Certificate } from 'node:crypto';
import { Fault } from '@kcorder/proto/fault.ts';
import type { NodeIdentity } from '../capture/capture.ts';
import type { AuthorityStore } from './authority-store.ts';
import { issueClient, issueServer, type KeyPair, makeAuthorityPair, type Validity } from './certificates.ts';
import {
  clockToleranceMs,
  type Generation,
  lives,
  needsAnother,
  retained,
  signing,
  trusted,
  withAnother,
} from './generations.ts';

/** A certificate for a node, with the time that it holds for. */
export interface IssuedCertificate extends Validity {
  /** PEM. */
  readonly certificate: string;
}

const conflictsInARow = 5;

/** The collector's own certificate authority: made when there is none, replaced long before it ends, its successor made known a day ahead. It survives a clock that is wrong for a while. */
export class Authority {
  readonly #store: AuthorityStore;
  readonly #alsoTrusted: () => Promise<string>;
  readonly #now: () => number;
  #generations: readonly Generation[] = [];

  private constructor(store: AuthorityStore, alsoTrusted: () => Promise<string>, now: () => number) {
    this.#store = store;
    this.#alsoTrusted = alsoTrusted;
    this.#now = now;
  }

  /**
   * Reads the authority, or makes the first one. `alsoTrusted` is PEM that is published beside it: the authority of a serving certificate from
   * elsewhere. Throws what the store throws.
   */
  static async open(
    store: AuthorityStore,
    alsoTrusted: () => Promise<string> = async () => '',
    now: () => number = Date.now,
  ): Promise<Authority> {
    const authority = new Authority(store, alsoTrusted, now);
    await authority.turn();
    return authority;
  }

  /** Brings the generations up to date in the store and here. Call it once an hour; when it throws, all stays as it was. */
  async turn(): Promise<void> {
    for (let attempt = 0; attempt < conflictsInARow; attempt += 1) {
      const stored = await this.#store.read();
      const nowMs = this.#now();
      const before = stored?.generations ?? [];
      const generations = retained(
        needsAnother(before, nowMs) ? withAnother(before, await makeGeneration(nowMs)) : before,
        nowMs,
      );
      const unchanged =
        generations.length === stored?.generations.length &&
        generations.every((one, i) => one === stored.generations[i]);
      if (unchanged || (await this.#store.write(generations, stored?.version)) !== undefined) {
        this.#generations = generations;
        await this.#store.publish(await this.trustBundle());
        return;
      }
    }
    throw new Fault(
      'storage_failed',
      'the authority was changed by another collector again and again: run only one collector',
    );
  }

  /** PEM of every authority that is trusted now. */
  get bundle(): string {
    return trusted(this.#generations, this.#now())
      .map(({ certificate }) => `${certificate.trim()}\n`)
      .join('');
  }

  /** PEM of everything that a certificate of this collector may come from. */
  async trustBundle(): Promise<string> {
    return this.bundle + (await this.#alsoTrusted());
  }

  /** When the authority that signs now ends. */
  get notAfter(): Date {
    return new Date(this.#signing().notAfter);
  }

  /** Issues a certificate of one hour for the node's key (DER of SubjectPublicKeyInfo). */
  async issueNode(node: NodeIdentity, publicKey: Uint8Array): Promise<IssuedCertificate> {
    const validity = this.#validity();
    const uri = `spiffe://kcorder/node/${node.name}/${node.uid}`;
    return { certificate: await issueClient(this.#signing(), uri, publicKey, validity), ...validity };
  }

  /** Issues a certificate of one hour for the collector itself. */
  async issueServer(names: readonly string[], addresses: readonly string[]): Promise<KeyPair> {
    return await issueServer(this.#signing(), names, addresses, this.#validity());
  }

  #validity(): Validity {
    const nowMs = this.#now();
    const endMs = new X509Certificate(this.#signing().certificate).validToDate.getTime();
    return { notBefore: new Date(nowMs - clockToleranceMs), notAfter: new Date(Math.min(nowMs + lives.leaf, endMs)) };
  }

  #signing(): Generation {
    const generation = signing(this.#generations, this.#now());
    if (generation !== undefined) return generation;
    throw new Fault(
      'unavailable',
      'the authority of this collector has ended: its log says why it could not be renewed',
    );
  }
}

async function makeGeneration(nowMs: number): Promise<Generation> {
  const createdAt = new Date(nowMs).toISOString();
  const notAfter = new Date(nowMs + lives.authority);
  const pair = await makeAuthorityPair(`kcorder authority ${createdAt}`, {
    notBefore: new Date(nowMs - clockToleranceMs),
    notAfter,
  });
  return { createdAt, notAfter: notAfter.toISOString(), ...pair };
}
