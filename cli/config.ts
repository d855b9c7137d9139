import { join } from 'node:path';
import { readSettings, setting, type Environment as Variables, withoutEmpty } from '@kcorder/proto/settings.ts';
import * as v from 'valibot';

/** All settings of the command line. */
export const settings = v.object({
  collector: setting('KCORDER_COLLECTOR', v.string(), undefined, 'host:port of the collector'),
  tlsDir: setting('KCORDER_TLS_DIR', v.string(), undefined, 'directory of `ca.crt`, `tls.crt` and `tls.key`'),
  namespace: setting('KCORDER_NAMESPACE', v.string(), undefined, 'namespace in which kcorder runs'),
  serviceAccount: setting(
    'KCORDER_SERVICE_ACCOUNT',
    v.string(),
    undefined,
    'NAMESPACE/NAME of the service account to authenticate as',
  ),
});

/** The environment of a run of the command line: its settings, and what every program reads. */
export interface Environment extends v.InferOutput<typeof settings> {
  /** Kubeconfig files in the order of KUBECONFIG; where that is not set, the one in the home directory. */
  readonly kubeconfigs: readonly string[];
  readonly color: boolean;
  /** Width of the terminal in columns, where the shell told it. */
  readonly columns: number | undefined;
}

/** Reads the environment; an empty variable counts as not set. */
export function readEnvironment(variables: Variables = process.env): Environment {
  const columns = Number(variables.COLUMNS);
  return {
    ...readSettings(settings, withoutEmpty(variables)).values,
    kubeconfigs: kubeconfigsOf(variables),
    color: !variables.NO_COLOR && variables.TERM !== 'dumb',
    columns: Number.isInteger(columns) && columns > 0 ? columns : undefined,
  };
}

function kubeconfigsOf(variables: Variables): string[] {
  const given = (variables.KUBECONFIG ?? '').split(':').filter((path) => path !== '');
  const home = variables.HOME || undefined;
  return given.length > 0 || home === undefined ? given : [join(home, '.kube', 'config')];
}

/** Keeps grpc-js from looking for a forwarded port of this machine behind a proxy that the environment names. */
export function keepLoopbackFromProxies(): void {
  process.env.no_grpc_proxy = '127.0.0.1';
}
