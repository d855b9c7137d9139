import type { DescService } from '@bufbuild/protobuf';
import type { Client } from '@grpc/grpc-js';
import { openAnonymousChannel, type TlsIdentity } from '@kcorder/proto/bridge/channel.ts';
import { type Calls, connect } from '@kcorder/proto/bridge/connect.ts';
import { EnrolmentService } from '@kcorder/proto/gen/kcorder/v1/enrolment_pb.ts';
import { FakeApiServer } from '../cluster/testing/api-server.ts';
import type { Config } from '../config.ts';
import { asked } from './enrolling.ts';
import { HandAgent } from './hand-agent.ts';
import { type Parties, Rig } from './rig.ts';

const namespace = 'kcorder';
const names = {
  namespace,
  authoritySecret: 'kcorder-authority',
  trustConfigMap: 'kcorder-trust',
  agentServiceAccount: 'kcorder-agent',
  agentDaemonSet: 'kcorder-agent',
};

/** A right that the API server is asked about, by a SubjectAccessReview. */
export interface AskedRight {
  readonly user: string;
  readonly resourceAttributes: Readonly<Record<string, string>>;
}

/** A whole collector of a cluster, whose API server is made up: nodes with agents that enrol, and people with tokens. */
export class ClusterRig {
  readonly api: FakeApiServer;
  readonly #objects = new Map<string, Record<string, unknown>>();
  readonly #nodes = new Map<string, string>();
  readonly #clients: Client[] = [];
  #rig: Rig | undefined;
  /** Returns true when somebody has a right; everybody has every one unless told otherwise. */
  allows: (asked: AskedRight) => boolean = () => true;
  /** Every right that was asked for. */
  readonly asked: AskedRight[] = [];

  private constructor(api: FakeApiServer) {
    this.api = api;
    api.answer = (method, path, body) => this.#answer(method, path, body);
  }

  static async start(
    parties: Parties,
    nodes: Record<string, string>,
    changes: Partial<Config> = {},
  ): Promise<ClusterRig> {
    const all = new ClusterRig(await FakeApiServer.start());
    for (const [name, uid] of Object.entries(nodes)) all.putNode(name, uid);
    const config = { authority: 'cluster', tlsDir: '', cluster: names, joinTokens: false, ...changes } as const;
    all.#rig = await Rig.start(parties, config, { cluster: all.api.cluster });
    return all;
  }

  get rig(): Rig {
    if (this.#rig === undefined) throw new Error('the collector has not started');
    return this.#rig;
  }

  /** Makes a node, or makes it again under another uid. */
  putNode(name: string, uid: string): void {
    this.#nodes.set(name, uid);
    this.api.put('nodes', { metadata: { name, uid } });
  }

  removeNode(name: string): void {
    this.#nodes.delete(name);
    this.api.remove('nodes', name);
  }

  /** PEM of the collector's authority, as it is published. */
  get ca(): Buffer {
    const { data } = this.#objects.get(`configmaps/${names.trustConfigMap}`) as { data: Record<string, string> };
    return Buffer.from(data['ca.crt'] ?? '');
  }

  /** The calls of somebody with a token, on the port for people. */
  calls<S extends DescService>(service: S, token: string): Calls<S> {
    const client = openAnonymousChannel(`127.0.0.1:${this.rig.apiPort}`, this.ca, { serverName: 'localhost' });
    this.#clients.push(client);
    return connect(service, client, { headers: () => ({ authorization: `Bearer ${token}` }) });
  }

  /** Enrols the agent of a node's pod, as it is now. */
  async enrol(nodeName: string, nodeUid = this.#nodes.get(nodeName) ?? ''): Promise<TlsIdentity> {
    return await this.enrolBy(`agent/${nodeName}/${nodeUid}`);
  }

  /** Enrols by a token of a pod, which a certificate stands beside on the port of the agents. */
  async enrolBy(token: string, beside?: TlsIdentity): Promise<TlsIdentity> {
    return await this.#enrol('serviceAccountToken', token, beside);
  }

  /** Enrols by a join token. */
  async join(token: string): Promise<TlsIdentity> {
    return await this.#enrol('joinToken', token);
  }

  async #enrol(kind: 'serviceAccountToken' | 'joinToken', token: string, beside?: TlsIdentity): Promise<TlsIdentity> {
    const calls = beside ? connect(EnrolmentService, this.rig.channel(beside)) : this.calls(EnrolmentService, token);
    const { key, request } = asked(token);
    const { certificate } = await calls.enrol({ credential: { case: kind, value: token }, ...request });
    return { ca: this.ca, certificate: Buffer.from(certificate), key };
  }

  agent(identity: TlsIdentity): HandAgent {
    return new HandAgent(this.rig.channel(identity));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.#rig?.[Symbol.asyncDispose]();
    await this.api[Symbol.asyncDispose]();
  }

  #answer(method: string, path: string, body: string): unknown {
    const last = path.split('/').at(-1) ?? '';
    const kind = path.split('/').at(method === 'POST' ? -1 : -2) ?? '';
    switch (kind) {
      case 'tokenreviews':
        return this.#review((JSON.parse(body) as { spec: { token: string } }).spec.token);
      case 'subjectaccessreviews': {
        const { spec } = JSON.parse(body) as { spec: AskedRight };
        this.asked.push(spec);
        return { kind: 'SubjectAccessReview', status: { allowed: this.allows(spec) } };
      }
      case 'daemonsets':
        return { metadata: { name: last, uid: 'set-1' }, status: { desiredNumberScheduled: this.#nodes.size } };
      case 'nodes':
        return this.#nodes.has(last) ? { metadata: { name: last, uid: this.#nodes.get(last) } } : undefined;
      case 'pods':
        return last.startsWith('agent-') ? podOn(last.slice('agent-'.length)) : undefined;
      case 'secrets':
      case 'configmaps': {
        if (method === 'GET') return this.#objects.get(`${kind}/${last}`);
        const object = JSON.parse(body) as { metadata: { name: string; resourceVersion?: string } };
        object.metadata.resourceVersion = String(this.#objects.size + 1);
        this.#objects.set(`${kind}/${object.metadata.name}`, { ...object });
        return object;
      }
      default:
        return undefined;
    }
  }

  /** A token says who shows it: agent/NODE/UID, or anybody else. */
  #review(token: string): unknown {
    const [kind, nodeName = '', nodeUid = ''] = token.split('/');
    if (kind !== 'agent') return { status: { authenticated: true, audiences: ['kcorder'], user: { username: token } } };
    const extra = {
      'authentication.kubernetes.io/pod-name': [`agent-${nodeName}`],
      'authentication.kubernetes.io/pod-uid': [`pod-${nodeName}`],
      'authentication.kubernetes.io/node-name': [nodeName],
      'authentication.kubernetes.io/node-uid': [nodeUid],
    };
    const user = { username: `system:serviceaccount:${namespace}:${names.agentServiceAccount}`, extra };
    return { status: { authenticated: true, audiences: ['kcorder'], user } };
  }
}

const podOn = (nodeName: string) => ({
  metadata: {
    name: `agent-${nodeName}`,
    uid: `pod-${nodeName}`,
    ownerReferences: [{ kind: 'DaemonSet', name: names.agentDaemonSet, uid: 'set-1', controller: true }],
  },
  spec: { serviceAccountName: names.agentServiceAccount, nodeName },
});
