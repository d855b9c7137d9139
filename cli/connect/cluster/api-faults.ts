import { Fault } from '@kcorder/proto/fault.ts';
import { causeCodes, causeText } from './causes.ts';

/** How sentences name an API server. */
export interface ServerName {
  readonly url: string;
  readonly context: string;
  readonly user: string;
}

/** What was asked of the API server, as RBAC names it. */
export interface Asked {
  readonly verb: string;
  readonly resource: string;
  /** Empty for what belongs to no namespace. */
  readonly namespace: string;
  /** Role that allows it, of the namespace; without one the sentence names no way. */
  readonly role?: string;
}

/** An answer of the API server that is not the one hoped for. */
export function denial(server: ServerName, asked: Asked, status: number, said: string, cause: unknown): Fault {
  if (status === 401) {
    return new Fault(
      'unauthenticated',
      `the API server ${server.url} does not know user ${server.user} of context ${server.context}: log in again, or choose another --context`,
      { cause },
    );
  }
  if (status === 403) return new Fault('permission_denied', forbidden(asked, said), { cause });
  const why = said === '' ? `status ${status}` : said;
  return new Fault('unavailable', `the API server ${server.url} could not ${asked.verb} ${asked.resource}: ${why}`, {
    cause,
  });
}

function forbidden({ verb, resource, namespace, role }: Asked, said: string): string {
  const user = /User "([^"]+)"/.exec(said)?.[1];
  const place = namespace === '' ? 'in the cluster' : `in namespace ${namespace}`;
  const what = `${user ?? 'you'} may not ${verb} ${resource} ${place}`;
  if (role === undefined) return `${what}. Ask an administrator of the cluster for that right.`;
  return `${what}. An administrator allows it: \`${bindCommand(role, namespace, user ?? 'USER')}\`.`;
}

/** The kubectl command that binds a Role of a namespace to a user. */
export function bindCommand(role: string, namespace: string, user: string): string {
  const name = user
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return `kubectl -n ${namespace} create rolebinding ${role}-${name} --role=${role} ${subject(user)}`;
}

/** The option of kubectl that names a user or a service account. */
export function subject(user: string): string {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? [];
  return namespace === undefined ? `--user=${quoted(user)}` : `--serviceaccount=${namespace}:${name}`;
}

function quoted(text: string): string {
  return /^[\w@.:/+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** No answer at all, or none to be trusted. */
export function silence(server: ServerName, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const codes = causeCodes(error);
  const found = problems.find(([pattern]) => codes.some((code) => pattern.test(code)));
  const what = found?.[1] ?? `cannot be reached: ${causeText(error)}. Check the network and the kubeconfig`;
  return new Fault('unavailable', `the API server ${server.url} of context ${server.context} ${what}`, {
    cause: error,
  });
}

const problems: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, 'refused the connection. Is the cluster running, and is this the right --context?'],
  [
    /^(ENOTFOUND|EAI_AGAIN)$/,
    'cannot be found: its name does not resolve. Check the network, and the server in the kubeconfig',
  ],
  [/^(EHOSTUNREACH|ENETUNREACH)$/, 'is out of reach: no way through the network. Is a VPN missing?'],
  [
    /TIMEOUT|TimeoutError|^ETIMEDOUT$/,
    'did not answer in time. Check the network: is a VPN or a proxy-url in the kubeconfig missing?',
  ],
  [
    /SELF_SIGNED|UNABLE_TO_|DEPTH_ZERO/,
    "showed a certificate that the kubeconfig's certificate-authority did not sign. Is it the right cluster?",
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    'showed a certificate for another name. Set tls-server-name in the kubeconfig, or use a name of the certificate',
  ],
  [/^CERT_HAS_EXPIRED$/, 'showed an expired certificate'],
  [/^ERR_SSL_|^EPROTO$/, 'does not speak TLS there. Check the server in the kubeconfig'],
  [/^(ECONNRESET|UND_ERR_SOCKET)$/, 'closed the connection. Try again'],
];
