import { join } from 'node:path';

/** What the environment says about a run of the command line. */
export interface Environment {
  /** host:port of the collector. */
  readonly collector: string | undefined;
  /** Directory with ca.crt, tls.crt and tls.key. */
  readonly tlsDir: string | undefined;
  /** Kubeconfig files in the order of KUBECONFIG; where that is not set, the one in the home directory. */
  readonly kubeconfigs: readonly string[];
  /** Namespace that kcorder runs in. */
  readonly namespace: string | undefined;
  /** NAMESPACE/NAME of the service account to come as. */
  readonly serviceAccount: string | undefined;
  readonly color: boolean;
  /** Width of the terminal in columns, where the shell told it. */
  readonly columns: number | undefined;
}

/** Reads the environment; an empty variable counts as not set. */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const columns = Number(variables.COLUMNS);
  return {
    collector: variables.KCORDER_COLLECTOR || undefined,
    tlsDir: variables.KCORDER_TLS_DIR || undefined,
    kubeconfigs: kubeconfigsOf(variables),
    namespace: variables.KCORDER_NAMESPACE || undefined,
    serviceAccount: variables.KCORDER_SERVICE_ACCOUNT || undefined,
    color: !variables.NO_COLOR && variables.TERM !== 'dumb',
    columns: Number.isInteger(columns) && columns > 0 ? columns : undefined,
  };
}

function kubeconfigsOf(variables: Readonly<Record<string, string | undefined>>): string[] {
  const given = (variables.KUBECONFIG ?? '').split(':').filter((path) => path !== '');
  const home = variables.HOME || undefined;
  return given.length > 0 || home === undefined ? given : [join(home, '.kube', 'config')];
}

/** Keeps grpc-js from looking for a forwarded port of this machine behind a proxy that the environment names. */
export function keepLoopbackFromProxies(): void {
  process.env.no_grpc_proxy = '127.0.0.1';
}
