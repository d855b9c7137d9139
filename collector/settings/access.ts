import { logLevels, setting } from '@kcorder/proto/settings.ts';
import * as v from 'valibot';
import { address, addressOrOff, dnsNames, either, objectName, oneOf, pathOrEmpty } from './kinds.ts';

/** Ports, certificates, and who may do what. */
export const accessSettings = {
  listen: setting('KCORDER_LISTEN', address, '127.0.0.1:7443', 'host:port for agents and responders, with mutual TLS'),
  apiListen: setting(
    'KCORDER_API_LISTEN',
    addressOrOff,
    '',
    'host:port for enrolment and cluster tokens: TLS without a client certificate, for example `0.0.0.0:7444`',
  ),
  metricsListen: setting(
    'KCORDER_METRICS_LISTEN',
    address,
    '127.0.0.1:9464',
    'host:port of plain HTTP: `/metrics`, and `/healthz` and `/readyz` for probes',
  ),
  tlsDir: setting(
    'KCORDER_TLS_DIR',
    pathOrEmpty,
    '/etc/kcorder/tls',
    'directory of `ca.crt`, `tls.crt` and `tls.key`; empty: the own authority issues the certificate',
  ),
  authority: setting(
    'KCORDER_AUTHORITY',
    oneOf('none', 'directory', 'cluster'),
    'none',
    'own authority for agents: `none`, `directory` (below the data directory), or `cluster` (a Secret, for the chart)',
  ),
  serverNames: setting(
    'KCORDER_SERVER_NAMES',
    dnsNames,
    'localhost',
    'DNS names in the certificate that the own authority issues, separated by commas',
  ),
  cluster: v.object({
    namespace: setting('KCORDER_NAMESPACE', objectName, '', 'namespace of the collector'),
    authoritySecret: setting('KCORDER_AUTHORITY_SECRET', objectName, '', 'Secret that holds the authority'),
    trustConfigMap: setting('KCORDER_TRUST_CONFIGMAP', objectName, '', 'ConfigMap that publishes the trust bundle'),
    agentServiceAccount: setting('KCORDER_AGENT_SERVICE_ACCOUNT', objectName, '', 'service account of the agents'),
    agentDaemonSet: setting('KCORDER_AGENT_DAEMONSET', objectName, '', 'DaemonSet of the agents'),
  }),
  joinTokens: setting(
    'KCORDER_JOIN_TOKENS',
    oneOf('auto', 'on', 'off'),
    'auto',
    'makes and accepts join tokens: `on`, `off`, or `auto`, which is `on` outside of a cluster only',
  ),
  approval: setting(
    'KCORDER_APPROVAL',
    either('required', 'off'),
    'off',
    '`required`: a second person has to allow each capture',
  ),
  logLevel: setting(
    'KCORDER_LOG_LEVEL',
    oneOf(...logLevels),
    'info',
    'level of the log: `fatal` `error` `warn` `info` `debug` `trace` `silent`',
  ),
};
