import { createHash } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { causeChain, Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import type { NodeIdentity } from './capture/capture.ts';
import type { Cluster } from './cluster/client.ts';
import type { ClusterServices } from './cluster/open.ts';
import type { Config } from './config.ts';
import { Authority } from './identity/authority.ts';
import { DirectoryStore } from './identity/directory-store.ts';
import { type Bearer, Enrolment, type EnrolmentDeps } from './identity/enrolment.ts';
import { Serving } from './identity/serving.ts';
import { readTlsDirectory } from './identity/tls-directory.ts';
import type { JoinTokens } from './journal/join-tokens.ts';
import type { Journal } from './journal/open.ts';

/** Who gets in, and how the collector shows who it is. */
export interface Access {
  readonly serving: Serving;
  readonly authority?: Authority;
  readonly enrolment?: Enrolment;
  readonly cluster?: ClusterServices;
  close(): void;
}

/** Replacements for the clock and the cluster, for tests. */
export interface Surroundings {
  /** Milliseconds since 1970, against which certificates are held. */
  readonly now?: () => number;
  /** In the place of the cluster that this pod runs in. */
  readonly cluster?: Cluster;
}

/** Events of access. */
export interface AccessEvents {
  /** A node is gone: its agent is not to be heard any more. */
  nodeGone(uid: string, name: string): void;
  /** A certificate or authority could not be renewed or read. */
  certificateRefused(): void;
  /** Puts on record that a certificate was given, or refused; throws when it cannot. */
  readonly record: EnrolmentDeps['record'];
}

/** Everything access is made of. */
export interface AccessDeps {
  readonly config: Config;
  readonly journal: Pick<Journal, 'joinTokens'>;
  readonly events: AccessEvents;
  readonly log: Logger;
  readonly surroundings: Surroundings;
}

/** Opens what KCORDER_AUTHORITY asks for. Throws config_invalid, cluster_unavailable, storage_failed. */
export async function openAccess(deps: AccessDeps): Promise<Access> {
  const { config, events, log, surroundings } = deps;
  using opened = new DisposableStack();
  const cluster = config.authority === 'cluster' ? await openCluster(deps) : undefined;
  opened.defer(() => cluster?.close());
  const authority = await openAuthority(config, cluster);
  const serving = await Serving.open(
    {
      ...(authority && { authority }),
      tlsDir: config.tlsDir,
      trustsDirectory: config.authority !== 'cluster',
      names: config.serverNames,
      addresses: ['127.0.0.1', ...ownAddresses()],
      refused: (error) => {
        events.certificateRefused();
        log.error({ causes: causeChain(error) }, 'a certificate could not be renewed; the last good one stays in use');
      },
    },
    surroundings.now,
  );
  opened.defer(() => serving.close());
  const enrolment = authority && openEnrolment(deps, authority, cluster);
  const owned = opened.move();
  return {
    serving,
    ...(authority && { authority }),
    ...(enrolment && { enrolment }),
    ...(cluster && { cluster }),
    close: () => owned.dispose(),
  };
}

function openEnrolment(
  { config, journal, events }: AccessDeps,
  authority: Authority,
  cluster: ClusterServices | undefined,
): Enrolment {
  return new Enrolment({
    authority,
    checks: {
      ...(cluster && { service_account: cluster.checkAgent }),
      ...(config.joinTokens && { join: joinCheck(journal.joinTokens, (node) => cluster?.strangeness(node)) }),
    },
    // Where there is an API server, it is asked again each time.
    renewsByCertificate: cluster === undefined,
    record: events.record,
  });
}

async function openAuthority(config: Config, cluster: ClusterServices | undefined): Promise<Authority | undefined> {
  if (config.authority === 'none') return undefined;
  const store = cluster?.store ?? new DirectoryStore(join(config.dataDir, 'authority'));
  const alsoTrusted = async (): Promise<string> =>
    config.tlsDir === '' ? '' : (await readTlsDirectory(config.tlsDir)).ca.toString();
  return await Authority.open(store, alsoTrusted);
}

async function openCluster({ config, events, log, surroundings }: AccessDeps): Promise<ClusterServices> {
  // Loaded where it is needed only: the client is larger than all the rest.
  const { openClusterServices } = await import('./cluster/open.ts');
  const { namespace, authoritySecret, trustConfigMap, agentServiceAccount, agentDaemonSet } = config.cluster;
  return openClusterServices(
    { namespace, secret: authoritySecret, configMap: trustConfigMap },
    { namespace, serviceAccount: agentServiceAccount, daemonSet: agentDaemonSet },
    config.joinTokens,
    {
      nodeGone: (name, uid) => events.nodeGone(uid, name),
      failed: (error) => log.warn({ causes: causeChain(error) }, 'the API server cannot be followed; trying again'),
    },
    surroundings.cluster,
  );
}

const joinCheck =
  (joinTokens: Pick<JoinTokens, 'redeem'>, strangeness: (node: NodeIdentity) => string | undefined) =>
  async (token: string, publicKey: Uint8Array): Promise<Bearer> => {
    const node = joinTokens.redeem(token, publicKey, new Date());
    // A holder of its own: another agent of its node shall not make it wait until it is lost.
    const number = createHash('sha256').update(token).digest('hex').slice(0, 16);
    const why = node && strangeness(node);
    if (why !== undefined) throw new Fault('unauthenticated', `the join token is not taken: ${why}`);
    if (node !== undefined) return { node, shownBy: { joinToken: number }, holder: `join/${number}` };
    throw new Fault(
      'unauthenticated',
      'the join token is not taken: it was used, has expired, or was never made. Make another with `kcorder join-token create`',
    );
  };

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all = []) =>
    all.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address),
  );
