import { Fault } from '@kcorder/proto/fault.ts';
import {
  ApiException,
  AppsV1Api,
  AuthenticationV1Api,
  AuthorizationV1Api,
  CoreV1Api,
  Observable,
  type ObservableMiddleware,
  VersionApi,
} from '@kubernetes/client-node';
import { type Asked, denial, type ServerName, silence } from './api-faults.ts';
import type { Kubeconfig } from './kubeconfig.ts';

const answerMs = 15_000;

/** What a call of the API server may be told besides its request. */
export interface CallOptions {
  readonly middleware: ObservableMiddleware[];
  readonly middlewareMergeStrategy: 'append';
}

/** The API server, with every failure a Fault that names what was asked. */
export interface Api {
  readonly server: ServerName;
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly authorization: AuthorizationV1Api;
  readonly version: VersionApi;
  /** The name that the API server knows the caller by; undefined where it does not tell. */
  whoAmI(): Promise<string | undefined>;
  ask<T>(asked: Asked, call: (options: CallOptions) => Promise<T>): Promise<T>;
  /** The same for what may be missing: undefined then. */
  find<T>(asked: Asked, call: (options: CallOptions) => Promise<T>): Promise<T | undefined>;
}

/** Calls of the API server that a kubeconfig's context names. Each ends after 15 s, or with the signal. A caller who was known is asked for anew once. */
export function apiOf(kubeconfig: Kubeconfig, interrupt: AbortSignal): Api {
  const server = serverOf(kubeconfig);
  const authentication = kubeconfig.makeApiClient(AuthenticationV1Api);
  let isKnown = false;
  const attempt = async <T>(asked: Asked, call: (options: CallOptions) => Promise<T>): Promise<T | undefined> => {
    const signal = AbortSignal.any([interrupt, AbortSignal.timeout(answerMs)]);
    try {
      const answer = await call({ middleware: [endingWith(signal)], middlewareMergeStrategy: 'append' });
      isKnown = true;
      return answer;
    } catch (error) {
      if (interrupt.aborted) throw new Fault('canceled', 'interrupted', { cause: error });
      if (!(error instanceof ApiException)) throw silence(server, error);
      if (error.code === 404) return undefined;
      if (error.code === 401 && isKnown) {
        isKnown = false;
        kubeconfig.reload();
        return await attempt(asked, call);
      }
      throw denial(server, asked, error.code, messageOf(error.body), error);
    }
  };
  return {
    server,
    core: kubeconfig.makeApiClient(CoreV1Api),
    apps: kubeconfig.makeApiClient(AppsV1Api),
    authorization: kubeconfig.makeApiClient(AuthorizationV1Api),
    version: kubeconfig.makeApiClient(VersionApi),
    whoAmI: async () => {
      const asked = { verb: 'create', resource: 'selfsubjectreviews', namespace: '' };
      const call = (options: CallOptions) => authentication.createSelfSubjectReview({ body: {} }, options);
      // Only a name in a sentence hangs on it.
      const review = await attempt(asked, call).catch(() => undefined);
      return review?.status?.userInfo?.username;
    },
    find: attempt,
    ask: async (asked, call) => {
      const answer = await attempt(asked, call);
      if (answer !== undefined) return answer;
      throw new Fault(
        'unavailable',
        `the API server ${server.url} knows nothing of ${asked.resource}. Is it Kubernetes?`,
      );
    },
  };
}

function serverOf(kubeconfig: Kubeconfig): ServerName {
  return {
    url: kubeconfig.getCurrentCluster()?.server ?? '',
    context: kubeconfig.getCurrentContext(),
    user: kubeconfig.getCurrentUser()?.name ?? '',
  };
}

function endingWith(signal: AbortSignal): ObservableMiddleware {
  return {
    pre: (request) => {
      request.setSignal(signal);
      return new Observable(Promise.resolve(request));
    },
    post: (response) => new Observable(Promise.resolve(response)),
  };
}

/** The sentence of a Status that the API server answered with; empty when it is none. */
function messageOf(body: unknown): string {
  try {
    const status: unknown = typeof body === 'string' ? JSON.parse(body) : body;
    return typeof status === 'object' && status !== null && 'message' in status ? String(status.message) : '';
  } catch {
    return '';
  }
}
