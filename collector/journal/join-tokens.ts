import { createHash, randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { NodeIdentity } from '../capture/capture.ts';
import { transact } from './database.ts';

/** How join tokens begin, so that nobody takes one for another secret. */
const prefix = 'kcj_';

/** For how long whoever redeemed a token may show it again: the answer may have been lost, or nothing could be put on record. */
const againMs = 5 * 60_000;
const mostRedeemed = 1_000;

/** Credentials for agents outside of Kubernetes, each for one node and one key that enrols. Only their hashes are kept. */
export class JoinTokens {
  readonly #database: DatabaseSync;
  /** Tokens redeemed within `againMs`, oldest first. */
  readonly #redeemed = new Map<string, { node: NodeIdentity; key: string; untilMs: number }>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Makes a token; it is told this once. Throws storage_failed. */
  create(node: NodeIdentity, expiresAt: Date): string {
    const token = prefix + randomBytes(32).toString('base64url');
    transact(this.#database, () => {
      this.#database.prepare('DELETE FROM join_tokens WHERE expires_at < ?').run(new Date().toISOString());
      this.#database
        .prepare('INSERT INTO join_tokens (hash, node_name, node_uid, expires_at) VALUES (?, ?, ?, ?)')
        .run(hashOf(token), node.name, node.uid, expiresAt.toISOString());
    });
    return token;
  }

  /**
   * Uses a token up for one public key and returns its node; the same key may come again for five minutes. Undefined for a token that was never
   * made, has expired, or was used by another key. Throws storage_failed.
   */
  redeem(token: string, publicKey: Uint8Array, now: Date): NodeIdentity | undefined {
    const [hash, key, nowMs] = [hashOf(token), hashOf(publicKey), performance.now()];
    const before = this.#redeemed.get(hash);
    if (before !== undefined && nowMs < before.untilMs) return before.key === key ? before.node : undefined;
    const row = transact(this.#database, () =>
      this.#database
        .prepare('DELETE FROM join_tokens WHERE hash = ? AND expires_at >= ? RETURNING node_name, node_uid')
        .get(hash, now.toISOString()),
    );
    if (row === undefined) return undefined;
    const node = { name: String(row.node_name), uid: String(row.node_uid) };
    this.#redeemed.set(hash, { node, key, untilMs: nowMs + againMs });
    for (const [oldest, { untilMs }] of this.#redeemed) {
      if (nowMs < untilMs && this.#redeemed.size <= mostRedeemed) break;
      this.#redeemed.delete(oldest);
    }
    return node;
  }
}

const hashOf = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex');
