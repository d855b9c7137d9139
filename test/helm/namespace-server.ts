import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ClusterObject } from './chart.ts';

/** Answers of API discovery by path: the kinds of `objects`, and namespaces. Helm only wants to know that they exist. */
function discovery(objects: readonly ClusterObject[]): Map<string, unknown> {
  const resources = new Map<string, unknown[]>([
    ['v1', [resource('Namespace', false), resource('Service', true)]],
    ['discovery.k8s.io/v1', [resource('EndpointSlice', true)]],
  ]);
  for (const { apiVersion, kind, metadata } of objects) {
    const known = resources.get(apiVersion) ?? [];
    resources.set(apiVersion, [...known, resource(kind, Object.hasOwn(metadata, 'namespace'))]);
  }
  const groups = [...resources.keys()].filter((apiVersion) => apiVersion.includes('/'));
  const answers = new Map<string, unknown>([
    ['/version', { major: '1', minor: '34', gitVersion: 'v1.34.4' }],
    ['/api', { kind: 'APIVersions', versions: ['v1'] }],
    ['/apis', { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(group) }],
  ]);
  for (const [apiVersion, list] of resources) {
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    answers.set(path, { kind: 'APIResourceList', groupVersion: apiVersion, resources: list });
  }
  return answers;
}

function resource(kind: string, namespaced: boolean): unknown {
  const singularName = kind.toLowerCase();
  return { name: `${singularName}s`, singularName, namespaced, kind, verbs: ['get'] };
}

function group(groupVersion: string): unknown {
  const [name, version] = groupVersion.split('/');
  return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
}

/**
 * As much of an API server as `helm install --dry-run=server` needs: it knows the kinds of `objects`, and of all objects there is only the namespace, with these
 * labels, and what `others` has by path: an answer, or the status code of a refusal. Its URL is for --kube-apiserver.
 */
export async function serveNamespace(
  name: string,
  labels: Readonly<Record<string, string>>,
  objects: readonly ClusterObject[],
  others: Readonly<Record<string, unknown>> = {},
): Promise<AsyncDisposable & { url: string }> {
  const answers = discovery(objects);
  answers.set(`/api/v1/namespaces/${name}`, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  for (const [path, answer] of Object.entries(others)) answers.set(path, answer);
  const server = createServer((request, response) => {
    const answer = answers.get(new URL(request.url ?? '/', 'http://localhost').pathname);
    const code = typeof answer === 'number' ? answer : answer === undefined ? 404 : 200;
    const reason = code === 403 ? 'Forbidden' : 'NotFound';
    const refusal = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code };
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify(code === 200 ? answer : refusal));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
