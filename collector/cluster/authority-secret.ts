import { Fault } from '@kcorder/proto/fault.ts';
import {
  type AuthorityStore,
  decodeGenerations,
  encodeGenerations,
  type StoredAuthorities,
} from '../identity/authority-store.ts';
import type { Generation } from '../identity/generations.ts';
import { ask, type Cluster, statusOf } from './client.ts';

/** Names of the objects that hold the authority. */
export interface AuthorityNames {
  readonly namespace: string;
  readonly secret: string;
  readonly configMap: string;
}

const key = 'authority.json';
const labels = { 'app.kubernetes.io/name': 'kcorder', 'app.kubernetes.io/managed-by': 'kcorder-collector' };

/** Keeps the authorities in a Secret, and the bundle in a ConfigMap (key ca.crt) that agents mount and people read. */
export class SecretStore implements AuthorityStore {
  readonly #cluster: Cluster;
  readonly #names: AuthorityNames;

  constructor(cluster: Cluster, names: AuthorityNames) {
    this.#cluster = cluster;
    this.#names = names;
  }

  async read(): Promise<StoredAuthorities | undefined> {
    const { namespace, secret: name } = this.#names;
    const secret = await ask(
      `get secret ${namespace}/${name}`,
      this.#cluster.core.readNamespacedSecret({ namespace, name }),
    );
    if (secret === undefined) return undefined;
    const text = Buffer.from(secret.data?.[key] ?? '', 'base64').toString();
    try {
      return { generations: decodeGenerations(text), version: secret.metadata?.resourceVersion ?? '' };
    } catch (error) {
      const advice = 'restore it from a copy, or delete it: then a new authority is made and every agent enrols again';
      throw new Fault('config_invalid', `secret ${namespace}/${name} cannot be understood: ${advice}`, {
        cause: error,
      });
    }
  }

  async write(generations: readonly Generation[], version: string | undefined): Promise<string | undefined> {
    const { namespace, secret: name } = this.#names;
    const { core } = this.#cluster;
    const body = {
      metadata: { name, labels, ...(version === undefined ? {} : { resourceVersion: version }) },
      type: 'Opaque',
      data: { [key]: Buffer.from(encodeGenerations(generations)).toString('base64') },
    };
    const written =
      version === undefined
        ? core.createNamespacedSecret({ namespace, body })
        : core.replaceNamespacedSecret({ namespace, name, body });
    return await unlessConflict(
      ask(`write secret ${namespace}/${name}`, written).then((secret) => secret?.metadata?.resourceVersion),
    );
  }

  async publish(bundle: string): Promise<void> {
    const { namespace, configMap: name } = this.#names;
    const { core } = this.#cluster;
    const what = `config map ${namespace}/${name}`;
    const found = await ask(`get ${what}`, core.readNamespacedConfigMap({ namespace, name }));
    if (found?.data?.['ca.crt'] === bundle) return;
    const data = { 'ca.crt': bundle };
    if (found === undefined) {
      const body = { metadata: { name, labels }, data };
      await unlessConflict(ask(`create ${what}`, core.createNamespacedConfigMap({ namespace, body })));
    } else {
      const body = { ...found, data };
      await unlessConflict(ask(`write ${what}`, core.replaceNamespacedConfigMap({ namespace, name, body })));
    }
  }
}

/** Undefined when somebody else was first. */
async function unlessConflict<T>(written: Promise<T>): Promise<T | undefined> {
  try {
    return await written;
  } catch (error) {
    if (error instanceof Fault && statusOf(error.cause)?.code === 409) return undefined;
    throw error;
  }
}
