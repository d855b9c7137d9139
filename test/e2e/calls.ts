import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterStage } from '../../tools/stage/cluster-stage.ts';
import { namespace } from '../../tools/stage/cluster-stage.ts';
import type { Ending, Job } from './call-as.ts';

const program = join(import.meta.dirname, 'call-as.ts');

/** Calls the collector's port for tokens from inside the cluster's network, once or for every method with each token. */
export async function callWith(
  stage: ClusterStage,
  kind: Job['kind'],
  tokens: Readonly<Record<string, string>>,
  only?: readonly string[],
): Promise<Ending[]> {
  const job: Job = { kind, tokens, ...(only && { only }), ...(await placeOf(stage)) };
  const { stdout, stderr, exitCode } = await stage.cluster.run(process.execPath, [program], {
    stdin: JSON.stringify(job),
  });
  if (exitCode !== 0) throw new Error(`${program} ended with exit code ${exitCode}: ${stderr}`);
  return JSON.parse(stdout) as Ending[];
}

type Place = Pick<Job, 'address' | 'serverName' | 'ca'>;
const places = new WeakMap<ClusterStage, Place>();

/** Where the collector is; asked once, since the API server may be stopped when it is needed. */
async function placeOf(stage: ClusterStage): Promise<Place> {
  const known = places.get(stage);
  if (known !== undefined) return known;
  const get = async (what: string, path: string): Promise<string> =>
    await stage.cluster.must(['get', what, '-n', namespace, '-o', `jsonpath={${path}}`]);
  const place = {
    address: `${await get('pod/kcorder-collector-0', '.status.podIP')}:7444`,
    serverName: `kcorder-collector.${namespace}.svc`,
    ca: await get('configmap/kcorder-trust', '.data.ca\\.crt'),
  };
  places.set(stage, place);
  return place;
}

/** A token of a service account in our namespace. */
export async function createToken(stage: ClusterStage, account: string, args: string[] = []): Promise<string> {
  return (await stage.cluster.must(['create', 'token', account, '-n', namespace, ...args])).trim();
}

/** The same token as the API server would have made it a day ago: signed with its own key, and expired. */
export function expired(token: string, signingKeyPath: string): string {
  const [header = '', payload = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  const day = 24 * 3600;
  for (const name of ['exp', 'iat', 'nbf']) claims[name] = Number(claims[name]) - day;
  const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const signature = createSign('RSA-SHA256').update(signed).sign(readFileSync(signingKeyPath));
  return `${signed}.${signature.toString('base64url')}`;
}

/** All series of the collector, as text. */
export async function exposition(stage: ClusterStage): Promise<string> {
  const { address } = await placeOf(stage);
  const url = `http://${address.replace(/:\d+$/, '')}:9464/metrics`;
  const script = `fetch(${JSON.stringify(url)}).then((r) => r.text()).then((t) => process.stdout.write(t))`;
  const { stdout } = await stage.cluster.run(process.execPath, ['-e', script]);
  return stdout;
}

/** A series of the collector, summed over its labels. */
export async function metric(stage: ClusterStage, name: string): Promise<number> {
  const lines = (await exposition(stage)).split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
