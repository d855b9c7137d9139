import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { Fault } from '@kcorder/proto/fault.ts';
import { type Cluster, type Context, KubeConfig, loadYaml, type User } from '@kubernetes/client-node';
import { fileProblem } from '../connection.ts';
import type { ClusterTarget } from '../target.ts';

const handshakeTimeoutMs = 15_000;

/** What client-node leaves out of the users of a kubeconfig, or takes as it stands. */
interface RawUser {
  readonly name?: string;
  readonly user?: { readonly tokenFile?: string };
}

/** A kubeconfig whose WebSockets do not wait for ever, and with tokens from files, which client-node looks for under another name. */
export class Kubeconfig extends KubeConfig {
  readonly #target: ClusterTarget;

  constructor(target: ClusterTarget) {
    super();
    this.#target = target;
  }

  /**
   * Reads the files again, and forgets what plugins gave: client-node keeps a token until its date, and one without a date for ever. Throws
   * config_invalid when the context of this command leads elsewhere by now: who is spoken to already must not get the token for another.
   */
  reload(): void {
    // Another one may be the current context by now.
    const again = loadKubeconfig({ ...this.#target, context: this.getCurrentContext() });
    if (partiesOf(again) !== partiesOf(this)) {
      throw new Fault(
        'config_invalid',
        `context ${this.getCurrentContext()} of the kubeconfig names another cluster or user than when this command began. Begin it again.`,
      );
    }
    Object.assign(this, again);
  }

  override async applyToHTTPSOptions(options: Parameters<KubeConfig['applyToHTTPSOptions']>[0]): Promise<void> {
    await super.applyToHTTPSOptions(options);
    Object.assign(options, { handshakeTimeout: handshakeTimeoutMs });
  }
}

/** Loads the kubeconfig of a way, with its context chosen. Throws config_invalid for whatever is wrong with it. */
export function loadKubeconfig(target: ClusterTarget): Kubeconfig {
  const { kubeconfigs, named, context } = target;
  const paths = named ? kubeconfigs : kubeconfigs.filter((path) => existsSync(path));
  if (paths.length === 0) {
    const looked =
      kubeconfigs.length === 0 ? 'KUBECONFIG and HOME are not set' : `looked for ${kubeconfigs.join(', ')}`;
    throw new Fault(
      'config_invalid',
      `there is no kubeconfig (${looked}), and no collector is given. Set --kubeconfig or KUBECONFIG; a collector outside of Kubernetes is named by --collector and --tls-dir.`,
    );
  }
  const merged = new Kubeconfig(target);
  for (const path of paths) mergeInto(merged, fileConfig(path));
  merged.addAuthenticator({
    isAuthProvider: (user) => tokenPathOf(user) !== undefined,
    applyAuthentication: async (user, options) => {
      const token = readFileSync(tokenPathOf(user) ?? '', 'utf8').trim();
      options.headers = { ...options.headers, Authorization: `Bearer ${token}` };
    },
  });
  choose(merged, context, paths);
  for (const user of merged.users) prepareExec(user, merged);
  return merged;
}

function fileConfig(path: string): KubeConfig {
  const config = new KubeConfig();
  try {
    const text = readFileSync(path, 'utf8');
    const raw = loadYaml<{ users?: readonly RawUser[] } | undefined>(text);
    if (typeof raw !== 'object' || raw === null) throw new Error('it is no YAML mapping');
    config.loadFromString(text);
    // client-node keeps paths to certificates in order, and neither those to tokens nor those to programs.
    config.makePathsAbsolute(dirname(path));
    config.users = config.users.map((user) => {
      const tokenFile = raw.users?.find(({ name }) => name === user.name)?.user?.tokenFile;
      if (tokenFile === undefined) return withProgramPath(user, dirname(path));
      // The file goes before a token that stands beside it.
      const { token: _token, ...rest } = user;
      return { ...rest, authProvider: { name: tokenFileProvider, path: absolute(tokenFile, dirname(path)) } };
    });
    return config;
  } catch (error) {
    throw new Fault(
      'config_invalid',
      `the kubeconfig ${path} cannot be used: ${firstLine(fileProblem(error))}. Mend it, or name another with --kubeconfig or KUBECONFIG.`,
      { cause: error },
    );
  }
}

const tokenFileProvider = 'a file with a token';

function tokenPathOf(user: User): string | undefined {
  const provider: unknown = user.authProvider;
  if (typeof provider !== 'object' || provider === null || !('name' in provider) || !('path' in provider))
    return undefined;
  return provider.name === tokenFileProvider ? String(provider.path) : undefined;
}

/** As kubectl does it: of what has the same name, the first file's counts, and so does the first current-context. */
function mergeInto(merged: KubeConfig, config: KubeConfig): void {
  const add = <T extends { readonly name: string }>(all: readonly T[], more: readonly T[]): T[] => [
    ...all,
    ...more.filter(({ name }) => !all.some((other) => other.name === name)),
  ];
  merged.loadFromOptions({
    clusters: add<Cluster>(merged.clusters, config.clusters),
    contexts: add<Context>(merged.contexts, config.contexts),
    users: add<User>(merged.users, config.users),
    currentContext: merged.currentContext || config.currentContext,
  });
}

/** The server by its address and certificate, and the name of the user who asks it. */
function partiesOf(config: KubeConfig): string {
  const { cluster, user } = config.getContextObject(config.getCurrentContext()) ?? {};
  return JSON.stringify([config.getCurrentCluster(), cluster, user]);
}

function choose(config: KubeConfig, wanted: string | undefined, paths: readonly string[]): void {
  const name = wanted ?? config.currentContext;
  const names = config.contexts.map((context) => context.name).join(', ') || 'none';
  const next = `Choose one with --context; there are: ${names}.`;
  if (!name) throw new Fault('config_invalid', `the kubeconfig ${paths.join(':')} names no current context. ${next}`);
  const context = config.contexts.find((candidate) => candidate.name === name);
  if (context === undefined)
    throw new Fault('config_invalid', `the kubeconfig ${paths.join(':')} has no context "${name}". ${next}`);
  if (config.getCluster(context.cluster) === null)
    throw new Fault(
      'config_invalid',
      `context ${name} names the cluster "${context.cluster}", which the kubeconfig lacks. ${next}`,
    );
  // As with kubectl, a context may name no user at all: the API server's proxy asks for none.
  if (context.user && config.getUser(context.user) === null)
    throw new Fault(
      'config_invalid',
      `context ${name} names the user "${context.user}", which the kubeconfig ${paths.join(':')} lacks, so nobody can sign in. Add it under users (\`kubectl config set-credentials\`, or fetch the kubeconfig again), or choose another context with --context; there are: ${names}.`,
    );
  config.setCurrentContext(name);
}

/** Plugins may ask what they are called for; client-node does not tell them. */
function prepareExec(user: User, config: KubeConfig): void {
  const { exec } = user;
  if (typeof exec !== 'object' || exec === null) return;
  const cluster = config.getCurrentCluster();
  const told =
    exec.provideClusterInfo === true && cluster !== null
      ? { cluster: { server: cluster.server, 'certificate-authority-data': cluster.caData } }
      : {};
  const info = { apiVersion: exec.apiVersion, kind: 'ExecCredential', spec: { interactive: false, ...told } };
  exec.env = [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }];
}

function withProgramPath(user: User, dir: string): User {
  const command: unknown = user.exec?.command;
  // A bare name is looked for in PATH.
  if (typeof command !== 'string' || !command.includes('/')) return user;
  return { ...user, exec: { ...user.exec, command: absolute(command, dir) } };
}

function absolute(path: string, dir: string): string {
  return isAbsolute(path) ? path : join(dir, path);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
