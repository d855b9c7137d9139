import type { DescService } from '@bufbuild/protobuf';
import type { Calls } from '@kcorder/proto/bridge/connect.ts';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Environment } from '../config.ts';

/** The options that say where the collector is and who calls. */
export interface TargetOptions {
  readonly collector?: string;
  readonly tlsDir?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly release?: string;
  readonly serviceAccount?: string;
  readonly tokenFile?: string;
}

/** Whose token goes with each call. */
export type Credential =
  | { readonly kind: 'kubeconfig' }
  | { readonly kind: 'service-account'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'token-file'; readonly path: string };

/** Where in a cluster the collector is to be found. */
export interface ClusterTarget {
  readonly kind: 'cluster';
  /** Files to merge, the first one winning. */
  readonly kubeconfigs: readonly string[];
  /** The files were named one by one: a missing one is an error. */
  readonly named: boolean;
  readonly context: string | undefined;
  readonly namespace: string;
  readonly release: string | undefined;
  readonly credential: Credential;
}

/** How this run gets to the collector: straight to its address with a client certificate, or through the API server of a cluster. */
export type Target = { readonly kind: 'direct'; readonly address: string; readonly tlsDir: string } | ClusterTarget;

/** A collector within reach. */
export interface Connection {
  /** How a sentence names it, after "the collector at". */
  readonly place: string;
  calls<S extends DescService>(service: S): Calls<S>;
  /** A fault with what is known of the way to the collector. */
  explained(fault: Fault): Fault;
  close(): void;
}

const ofCluster = {
  kubeconfig: '--kubeconfig',
  context: '--context',
  namespace: '--namespace',
  release: '--release',
  serviceAccount: '--service-account',
  tokenFile: '--token-file',
} as const;

/** Finds the way. */
export function targetOf(options: TargetOptions, environment: Environment): Target {
  return isDirect(options, environment) ? directWay(options, environment) : clusterTarget(options, environment);
}

/**
 * Returns true for a collector that is named by its address, false for one in a cluster. What stands on the command line goes before the environment;
 * without a word of an address it is the cluster. Throws config_invalid for both on the command line.
 */
export function isDirect(options: TargetOptions, environment: Environment): boolean {
  const clusterOption = clusterOptionOf(options);
  const direct = options.collector !== undefined || options.tlsDir !== undefined;
  if (direct && clusterOption !== undefined) {
    throw new Fault(
      'config_invalid',
      `${clusterOption} finds the collector in a cluster, --collector and --tls-dir name it. Give the one or the other.`,
    );
  }
  return direct || (environment.collector !== undefined && clusterOption === undefined);
}

/** Whether anybody said where the collector is, be it a namespace. */
export function isTargetGiven(options: TargetOptions, environment: Environment): boolean {
  const named = [options.collector, options.tlsDir, environment.collector, environment.namespace];
  return clusterOptionOf(options) !== undefined || named.some((given) => given !== undefined);
}

function clusterOptionOf(options: TargetOptions): string | undefined {
  return Object.entries(ofCluster).find(([key]) => options[key as keyof typeof ofCluster] !== undefined)?.[1];
}

function directWay(options: TargetOptions, environment: Environment): Target {
  const address = options.collector ?? environment.collector;
  const tlsDir = options.tlsDir ?? environment.tlsDir;
  if (address === undefined) {
    throw new Fault('config_invalid', 'no collector is given. Set --collector host:port or KCORDER_COLLECTOR.');
  }
  if (tlsDir === undefined) {
    throw new Fault(
      'config_invalid',
      'no certificates are given. Set --tls-dir or KCORDER_TLS_DIR to a directory with ca.crt, tls.crt and tls.key.',
    );
  }
  return { kind: 'direct', address, tlsDir };
}

/** The way through a cluster, whatever is said of a collector's address. */
export function clusterTarget(options: TargetOptions, environment: Environment): ClusterTarget {
  return {
    kind: 'cluster',
    kubeconfigs: options.kubeconfig === undefined ? environment.kubeconfigs : [options.kubeconfig],
    named: options.kubeconfig !== undefined,
    context: options.context,
    namespace: options.namespace ?? environment.namespace ?? 'kcorder',
    release: options.release,
    credential: credentialOf(options, environment),
  };
}

function credentialOf(options: TargetOptions, environment: Environment): Credential {
  const { tokenFile } = options;
  if (tokenFile !== undefined && options.serviceAccount !== undefined) {
    throw new Fault(
      'config_invalid',
      '--service-account and --token-file each say whose token to use. Give one of them.',
    );
  }
  if (tokenFile !== undefined) return { kind: 'token-file', path: tokenFile };
  const account = options.serviceAccount ?? environment.serviceAccount;
  if (account === undefined) return { kind: 'kubeconfig' };
  const [, namespace, name] = /^([a-z0-9.-]+)\/([a-z0-9.-]+)$/.exec(account) ?? [];
  if (namespace === undefined || name === undefined) {
    throw new Fault(
      'config_invalid',
      `the service account "${account}" is not NAMESPACE/NAME. Give one such as kcorder/alice.`,
    );
  }
  return { kind: 'service-account', namespace, name };
}
