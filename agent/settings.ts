import { isAbsolute } from 'node:path';
import { logLevels, setting } from '@kcorder/proto/settings.ts';
import * as v from 'valibot';

const isHostAndPort = (text: string): boolean => {
  const port = Number(/^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(text)?.[1]);
  return port >= 1 && port <= 65535;
};
const address = (example: string) =>
  v.pipe(
    v.string(),
    v.check(isHostAndPort, ({ input }) => `"${input}" is not host:port, as in ${example}`),
  );
const path = v.pipe(
  v.string(),
  v.check(isAbsolute, ({ input }) => `${input} is not an absolute path`),
);

/** All settings of the agent, in the order of their documentation. */
export const settings = v.object({
  collector: setting('KCORDER_COLLECTOR', address('collector:7443'), '', 'host:port of the collector'),
  enrol: setting(
    'KCORDER_ENROL',
    address('collector:7444'),
    undefined,
    'host:port of `KCORDER_API_LISTEN` of the collector, where the agent gets its certificate',
  ),
  logLevel: setting(
    'KCORDER_LOG_LEVEL',
    v.picklist(logLevels, ({ input }) => `${input} is none of ${logLevels.join(', ')}`),
    'info',
    'level of the log, as for the collector',
  ),
  metricsListen: setting(
    'KCORDER_METRICS_LISTEN',
    v.union([v.literal(''), address('0.0.0.0:9464')]),
    '',
    'host:port of `/metrics`, plain HTTP; without it the agent listens on nothing',
  ),
  avmlPath: setting('KCORDER_AVML', path, '/usr/local/bin/avml', 'path of the AVML program'),
  tlsDir: setting(
    'KCORDER_TLS_DIR',
    path,
    '/etc/kcorder/tls',
    'directory of `ca.crt`, `tls.crt` and `tls.key` of this node; not together with `KCORDER_ENROL`',
  ),
  tokenFile: setting(
    'KCORDER_ENROL_TOKEN_FILE',
    path,
    '/var/run/secrets/kcorder/token',
    'with `KCORDER_ENROL`: file of the token that the agent presents for it',
  ),
  caFile: setting(
    'KCORDER_CA_FILE',
    path,
    '/etc/kcorder/trust/ca.crt',
    'with `KCORDER_ENROL`: PEM of the authorities that may issue the certificate of the collector',
  ),
  serverName: setting(
    'KCORDER_SERVER_NAME',
    v.string(),
    undefined,
    'name in the certificate of the collector, if it differs from the host',
  ),
  avmlSha256: setting(
    'KCORDER_AVML_SHA256',
    v.string(),
    undefined,
    '64 hex digits; AVML runs only if its bytes have this hash. None: the file `<avml>.sha256`',
  ),
  runDir: setting('KCORDER_RUN_DIR', path, '/run/kcorder', 'directory of the FIFO, on a tmpfs'),
  hostRoot: setting(
    'KCORDER_HOST_ROOT',
    path,
    '/host',
    'directory where `/etc` and `/var/log/containers` of the node are mounted, read-only',
  ),
});
