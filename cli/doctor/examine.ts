import { Fault } from '@kcorder/proto/fault.ts';
import { type Api, apiOf } from '../connect/cluster/api.ts';
import { bearerOf, signIn } from '../connect/cluster/bearer.ts';
import { type Kubeconfig, loadKubeconfig } from '../connect/cluster/kubeconfig.ts';
import { findRelease, type Release } from '../connect/cluster/release.ts';
import type { ClusterTarget } from '../connect/target.ts';
import { checkDaemonSet, checkNodes } from './checks/agents.ts';
import { type Check, check } from './checks/check.ts';
import { checkAnswer, checkPod, checkStorage, checkTrust } from './checks/collector.ts';
import { checkPodSecurity } from './checks/pod-security.ts';
import { checkConnection, checkRights } from './checks/rights.ts';

/** Looks at all that has to be right, from the caller's desk to the nodes. What hangs on something that failed is left out. */
export async function* examine(way: ClusterTarget, interrupt: AbortSignal): AsyncGenerator<Check, void, undefined> {
  let kubeconfig: Kubeconfig | undefined;
  yield await check('kubeconfig', async () => {
    kubeconfig = loadKubeconfig(way);
    const { name: user = '' } = kubeconfig.getCurrentUser() ?? {};
    return { state: 'ok', detail: `context ${kubeconfig.getCurrentContext()}, user ${user}` };
  });
  if (kubeconfig === undefined) return;
  const own = kubeconfig;
  const api = apiOf(own, interrupt);
  const answers = await check('API server', () => checkServer(own, api));
  yield answers;
  if (answers.state === 'fail') return;
  yield await check('token', async () => {
    await bearerOf(way.credential, own, api).renew();
    return { state: 'ok', detail: sources[way.credential.kind] };
  });
  yield await check('rights in kcorder', () => checkRights(api, way.credential));
  let release: Release | undefined;
  const found = await check('kcorder', async () => {
    release = await findRelease(api, way);
    return { state: 'ok', detail: `Service ${release.service} in namespace ${release.namespace}` };
  });
  yield await check('rights to connect', () =>
    checkConnection(api, way.namespace, release?.fullname ?? way.release ?? 'kcorder'),
  );
  yield found;
  yield await check('Pod Security', () => checkPodSecurity(api, way.namespace));
  yield await check('agents', () => checkDaemonSet(api, way));
  yield await check('nodes', () => checkNodes(api, way));
  if (release !== undefined) yield* examineCollector(api, way, release, interrupt);
}

async function* examineCollector(
  api: Api,
  way: ClusterTarget,
  release: Release,
  interrupt: AbortSignal,
): AsyncGenerator<Check, void, undefined> {
  const pod = await check('collector', () => checkPod(api, release));
  const trust = await check('trust bundle', () => checkTrust(api, release));
  yield pod;
  yield trust;
  yield await check('storage', () => checkStorage(api, release));
  if (pod.state === 'ok' && trust.state === 'ok') yield await check('connection', () => checkAnswer(way, interrupt));
}

async function checkServer(kubeconfig: Kubeconfig, api: Api): Promise<Pick<Check, 'state' | 'detail'>> {
  await signIn(kubeconfig);
  const asked = { verb: 'get', resource: 'version', namespace: '' };
  const { gitVersion } = await api
    .ask(asked, (options) => api.version.getCode({}, options))
    .catch((error: unknown) => {
      // That somebody may not see the version says that there is an API server.
      if (error instanceof Fault && error.code === 'permission_denied')
        return { gitVersion: 'of a version unknown to you' };
      throw error;
    });
  const user = await api.whoAmI();
  return {
    state: 'ok',
    detail: `${api.server.url} answers: ${gitVersion}${user === undefined ? '' : `; you are ${user}`}`,
  };
}

const sources = {
  kubeconfig: "the kubeconfig's",
  'service-account': "the service account's",
  'token-file': "the file's",
} as const;
