import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type SettingsFile, shellVariables } from '../settings.ts';
import type { Authority } from './authority.ts';

/** One of the two nodes. */
export interface NodePlan {
  name: 'node1' | 'node2';
  address: string;
  /** What its pods have their addresses from. */
  podNetwork: string;
  /** Value of the label `kcorder.dev/lab`. */
  kind: 'guest' | 'native';
}

export const node1: NodePlan = { name: 'node1', address: '10.0.2.15', podNetwork: '10.244.1.0/24', kind: 'guest' };
export const node2: NodePlan = { name: 'node2', address: '10.0.2.16', podNetwork: '10.244.2.0/24', kind: 'native' };

/** Where the cluster's name server answers. */
export const dnsAddress = '10.96.0.10';
export const dnsDomain = 'cluster.local';

export const sandboxImage = 'registry.local/pause:1';

/** The files of a node by their paths in it: its names, its keys, and what containerd, CNI, kubelet and kube-proxy read; the token is for the exec-server. */
export function nodeFiles(plan: NodePlan, authority: Authority, token?: string): SettingsFile[] {
  const environment = {
    NODE_NAME: plan.name,
    NODE_ADDRESS: plan.address,
    NODE_LABELS: `kcorder.dev/lab=${plan.kind}`,
  };
  const json = (path: string, value: object) => ({ path, text: JSON.stringify(value, null, 1) });
  return [
    { path: 'etc/lab/node.env', text: shellVariables(environment) },
    { path: 'etc/machine-id', text: `${randomBytes(16).toString('hex')}\n` },
    { path: 'etc/kubernetes/ca.crt', text: readFileSync(authority.path('ca.crt'), 'utf8') },
    { path: 'etc/kubernetes/kubelet.kubeconfig', text: authority.kubeconfig(plan.name) },
    { path: 'etc/kubernetes/proxy.kubeconfig', text: authority.kubeconfig('proxy') },
    { path: 'etc/containerd/config.toml', text: containerdConfig },
    json('etc/cni/net.d/10-lab.conflist', cniConfig(plan)),
    json('etc/kubernetes/kubelet.json', kubeletConfig(plan)),
    json('etc/kubernetes/kube-proxy.json', proxyConfig(plan)),
    ...(token ? [{ path: 'etc/lab/token', text: token }] : []),
  ];
}

const containerdConfig = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandboxImage}"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/etc/cni/net.d"
`;

function cniConfig({ podNetwork }: NodePlan): object {
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: podNetwork }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  return {
    cniVersion: '0.4.0',
    name: 'lab',
    plugins: [
      { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: false, hairpinMode: true, ipam },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function kubeletConfig({ address }: NodePlan): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: '/etc/kubernetes/ca.crt' },
    },
    authorization: { mode: 'Webhook' },
    cgroupDriver: 'cgroupfs',
    // node2 has the cgroups of this machine, which may be v1 still
    failCgroupV1: false,
    clusterDNS: [dnsAddress],
    clusterDomain: dnsDomain,
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    // the disk of this machine may be nearly full without any harm to the lab
    evictionHard: { 'memory.available': '20Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    failSwapOn: false,
    healthzPort: 0,
    imageGCHighThresholdPercent: 100,
    imageMinimumGCAge: '24h',
    nodeStatusUpdateFrequency: '5s',
    resolvConf: '',
    runtimeRequestTimeout: '4m',
    syncFrequency: '10s',
    volumePluginDir: '/var/lib/kubelet/volume-plugins',
  };
}

function proxyConfig({ name, address }: NodePlan): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    hostnameOverride: name,
    bindAddress: address,
    clusterCIDR: '10.244.0.0/16',
    clientConnection: { kubeconfig: '/etc/kubernetes/proxy.kubeconfig' },
    // node2 shares this machine's table of connections: its size is not ours to set
    conntrack: { maxPerCore: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    metricsBindAddress: '127.0.0.1:10249',
    healthzBindAddress: '127.0.0.1:10256',
  };
}
