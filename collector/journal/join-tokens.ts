import { createHash, randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { NodeIdentity } from '../capture/capture.ts';
import { transact } from './database.ts';

/** How join tokens begin, so that nobody takes one for another secret. */
const prefix = 'kcj_';

/** Credentials for agents outside of Kubernetes, each for one node and good for one enrolment. Only their hashes are kept. */
export class JoinTokens {
  readonly #database: DatabaseSync;

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

  /** Uses a token up and gives its node back; undefined for one that was never made, is used, or has expired. Throws storage_failed. */
  redeem(token: string, now: Date): NodeIdentity | undefined {
    return transact(this.#database, () => {
      const row = this.#database
        .prepare('DELETE FROM join_tokens WHERE hash = ? AND expires_at >= ? RETURNING node_name, node_uid')
        .get(hashOf(token), now.toISOString());
      return row === undefined ? undefined : { name: String(row.node_name), uid: String(row.node_uid) };
    });
  }
}

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');
