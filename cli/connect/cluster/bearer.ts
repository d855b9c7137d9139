import { readFileSync } from 'node:fs';
import { Fault } from '@kcorder/proto/fault.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import { fileProblem } from '../connection.ts';
import type { Credential } from '../target.ts';
import type { Api } from './api.ts';
import { causeText } from './causes.ts';
import type { Kubeconfig } from './kubeconfig.ts';

/** The token that says who calls. */
export interface Bearer {
  /** Fetches a token where there is none, or where the last one ends. */
  renew(): Promise<void>;
  /** The last one that was fetched. */
  readonly token: string;
  /** The collector has taken the last one. */
  accept(): void;
  /** Returns true when there is another token than this one, which was refused. One that was taken before is not shown again, whatever its date. */
  replace(refused: string): Promise<boolean>;
}

const audience = 'kcorder';
/** As `kubectl create token` has it: a stream is ended with the token that opened it, and a verification cannot go on. */
const lifetimeS = 3600;
const spareMs = 60_000;

/** Where the token comes from: the kubeconfig's user, a service account, or a file. */
export function bearerOf(credential: Credential, kubeconfig: Kubeconfig, api: Api): Bearer {
  const reload = () => kubeconfig.reload();
  switch (credential.kind) {
    case 'kubeconfig':
      // client-node remembers tokens, and runs a plugin again when its token has ended.
      return renewed(async () => ({ token: await kubeconfigToken(kubeconfig, api), goodUntilMs: 0 }), reload);
    case 'service-account':
      return renewed(() => accountToken(api, credential), reload);
    case 'token-file':
      return renewed(async () => ({ token: fileToken(credential.path), goodUntilMs: 0 }), reload);
  }
}

function renewed(fetch: () => Promise<{ token: string; goodUntilMs: number }>, reload: () => void): Bearer {
  let last = { token: '', goodUntilMs: 0 };
  let accepted: string | undefined;
  let running: Promise<void> | undefined;
  const load = async (): Promise<void> => {
    try {
      last = await fetch();
    } finally {
      running = undefined;
    }
  };
  const renew = async (): Promise<void> => {
    if (Date.now() < last.goodUntilMs) return;
    running ??= load();
    await running;
  };
  return {
    renew,
    get token() {
      return last.token;
    },
    accept: () => {
      accepted = last.token;
    },
    replace: async (refused) => {
      try {
        if (refused === accepted) {
          accepted = undefined;
          last = { token: refused, goodUntilMs: 0 };
          reload();
        }
        await renew();
      } catch {
        // That it was refused says more.
      }
      return last.token !== refused;
    },
  };
}

async function kubeconfigToken(kubeconfig: KubeConfig, { server }: Api): Promise<string> {
  const header = (await signIn(kubeconfig))?.Authorization;
  const token = /^Bearer (.+)$/.exec(String(header ?? '').trim())?.[1];
  if (token !== undefined) return token;
  throw new Fault(
    'unauthenticated',
    `user ${server.user} of context ${server.context} has no token (it signs in by certificate or password), and only a token reaches the collector. Come as a service account: \`kcorder --service-account NAMESPACE/NAME …\` or KCORDER_SERVICE_ACCOUNT. Where there is none yet: \`kubectl -n kcorder create serviceaccount alice\` and \`kubectl create clusterrolebinding kcorder-alice --clusterrole=kcorder-responder --serviceaccount=kcorder:alice\`.`,
  );
}

/** Header fields by which the kubeconfig's user signs in; runs its plugin where it has one. */
export async function signIn(kubeconfig: KubeConfig): Promise<Readonly<Record<string, unknown>> | undefined> {
  const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] = {};
  try {
    await kubeconfig.applyToHTTPSOptions(options);
  } catch (error) {
    const { name = '', exec } = kubeconfig.getCurrentUser() ?? {};
    const plugin: unknown = exec?.command;
    const what = typeof plugin === 'string' ? `its plugin ${plugin} failed` : 'it cannot be used';
    const hint = typeof exec?.installHint === 'string' ? `. ${exec.installHint}` : '';
    throw new Fault(
      'unauthenticated',
      `user ${name} of context ${kubeconfig.getCurrentContext()}: ${what}: ${causeText(error) || 'it said nothing'}${hint}. Log in again, and see whether kubectl works.`,
      { cause: error },
    );
  }
  return options.headers;
}

async function accountToken(
  api: Api,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): Promise<{ token: string; goodUntilMs: number }> {
  const asked = { verb: 'create', resource: `serviceaccounts/${name}/token`, namespace };
  const body = { spec: { audiences: [audience], expirationSeconds: lifetimeS } };
  const answer = await api.find(asked, (options) =>
    api.core.createNamespacedServiceAccountToken({ name, namespace, body }, options),
  );
  const { token, expirationTimestamp } = answer?.status ?? {};
  if (token === undefined) {
    throw new Fault(
      'unauthenticated',
      `there is no service account ${name} in namespace ${namespace}. \`kubectl -n ${namespace} create serviceaccount ${name}\` makes it, \`kubectl create clusterrolebinding kcorder-${name} --clusterrole=kcorder-responder --serviceaccount=${namespace}:${name}\` gives it rights.`,
    );
  }
  // Without a date it is asked for at each call.
  return { token, goodUntilMs: new Date(expirationTimestamp ?? 0).getTime() - spareMs };
}

function fileToken(path: string): string {
  try {
    const token = readFileSync(path, 'utf8').trim();
    if (token !== '') return token;
  } catch (error) {
    throw new Fault('config_invalid', `cannot read the token in ${path}: ${fileProblem(error)}. Check --token-file.`, {
      cause: error,
    });
  }
  throw new Fault('config_invalid', `${path} is empty: it should hold a token. Check --token-file.`);
}
