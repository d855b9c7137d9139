import { Fault } from '@kcorder/proto/fault.ts';
import {
  ApiException,
  AppsV1Api,
  AuthenticationV1Api,
  AuthorizationV1Api,
  CoreV1Api,
  createConfiguration,
  KubeConfig,
  Observable,
  type ObservableMiddleware,
  ServerConfiguration,
  setHeaderMiddleware,
} from '@kubernetes/client-node';
import { withoutBulk } from './bulk.ts';

/** The API server, as the collector's own service account reaches it. */
export interface Cluster {
  readonly config: KubeConfig;
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly authentication: AuthenticationV1Api;
  readonly authorization: AuthorizationV1Api;
}

/** Reads what the pod was given. Throws config_invalid outside of a cluster. */
export function openCluster(): Cluster {
  const config = new KubeConfig();
  // Without a service account's files it would go on and ask a server named undefined.
  config.loadFromCluster();
  if (
    !/^https:\/\/[^/]+:\d+$/.test(config.getCurrentCluster()?.server ?? '') ||
    /undefined/.test(config.getCurrentCluster()?.server ?? '')
  ) {
    throw new Fault(
      'config_invalid',
      'KCORDER_AUTHORITY=cluster needs the service account of a pod, and there is none: install the chart, or use KCORDER_AUTHORITY=directory',
    );
  }
  return clusterOf(config);
}

/** Milliseconds after which every question is given up and its connection let go. A watch has its own limit. */
const answerMs = 8_000;

/** Bytes of an answer, unpacked: of one object, and of a page of a list, which holds twenty-five of the largest that etcd takes. */
const mostBytes = { object: 4 << 20, page: 160 << 20 };

const bounding = (most: number, shorten: (text: string) => string): ObservableMiddleware => ({
  pre: (request) => {
    request.setSignal(AbortSignal.timeout(answerMs));
    return new Observable(Promise.resolve(request));
  },
  post: (response) => {
    const { body } = response;
    response.body = { ...body, text: async () => shorten(await textOf(body.stream(), most)) };
    return new Observable(Promise.resolve(response));
  },
});

/** Reads an answer to its end. Throws for one that has none, which is not read on. */
async function textOf(body: ReadableStream<Uint8Array> | null, most: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.length;
    if (bytes > most) throw new Error(`its answer has more than ${most} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The APIs of a configuration, each question of which ends within 8 s and with an answer that has an end. */
export function clusterOf(config: KubeConfig): Cluster {
  const bounded = (most: number, shorten = (text: string): string => text) =>
    createConfiguration({
      baseServer: new ServerConfiguration(config.getCurrentCluster()?.server ?? '', {}),
      authMethods: { default: config },
      middleware: [setHeaderMiddleware('User-Agent', 'kcorder-collector'), bounding(most, shorten)],
    });
  const ofObjects = bounded(mostBytes.object);
  return {
    config,
    core: new CoreV1Api(bounded(mostBytes.page, withoutBulk)),
    apps: new AppsV1Api(ofObjects),
    authentication: new AuthenticationV1Api(ofObjects),
    authorization: new AuthorizationV1Api(ofObjects),
  };
}

/**
 * Asks the API server once. `what` completes "the API server could not …". Gives undefined for 404 and for an answer without content; throws cluster_unavailable for
 * anything else that is not an answer, and names the verb when it was a right that is missing.
 */
export async function ask<T>(what: string, question: Promise<T>): Promise<T | undefined> {
  try {
    return (await question) ?? undefined;
  } catch (error) {
    const status = statusOf(error);
    if (status?.code === 404) return undefined;
    const advice =
      status?.code === 403
        ? `the collector's service account lacks a right (${status.message}): install the chart's RBAC again`
        : 'see whether the API server answers, then try again';
    throw new Fault('cluster_unavailable', `the API server could not ${what}: ${advice}`, { cause: error });
  }
}

/** Characters of the API server's own reason that are kept. */
const mostOfReason = 1_000;

/** Returns the API server's own reason as the cause of a refusal, for the records alone; undefined if it gave none. */
export const reasonOf = (text: string | undefined): Error | undefined =>
  text ? new Error(`the API server: ${text.slice(0, mostOfReason)}`) : undefined;

/** The HTTP status of an answer that was an error, with the API server's own sentence. */
export function statusOf(error: unknown): { code: number; message: string } | undefined {
  if (!(error instanceof ApiException)) return undefined;
  return { code: error.code, message: messageOf(error.body) };
}

function messageOf(body: unknown): string {
  try {
    const { message } = (typeof body === 'string' ? JSON.parse(body) : body) as { message?: unknown };
    return typeof message === 'string' ? message : '';
  } catch {
    return '';
  }
}
