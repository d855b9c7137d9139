import { at, type Value } from './chart.ts';

const volumeKinds = [
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral'],
  ...['image', 'persistentVolumeClaim', 'projected', 'secret'],
];
const containerKinds = ['containers', 'initContainers', 'ephemeralContainers'];

/** What in a pod's spec violates the Pod Security profile "restricted" of Kubernetes 1.34, after its published list of controls. */
export function restrictedProfile(pod: Value | undefined): string[] {
  const errors: string[] = [];
  const refuse = (wrong: boolean, what: string) => wrong && errors.push(what);
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) refuse(at(pod, key) === true, key);
  for (const volume of (at(pod, 'volumes') ?? []) as Value[]) {
    const kinds = Object.keys(volume as object).filter((key) => key !== 'name');
    refuse(!kinds.every((kind) => volumeKinds.includes(kind)), `volume ${kinds.join()}`);
  }
  refuse(at(pod, 'securityContext.sysctls') !== undefined, 'sysctls');
  const containers = containerKinds.flatMap((kind) => (at(pod, kind) ?? []) as Value[]);
  for (const container of containers) {
    const security = (path: string) => at(container, `securityContext.${path}`);
    const either = (path: string) => security(path) ?? at(pod, `securityContext.${path}`);
    refuse(security('privileged') === true, 'privileged');
    refuse(security('allowPrivilegeEscalation') !== false, 'allowPrivilegeEscalation');
    refuse(JSON.stringify(security('capabilities.drop')) !== '["ALL"]', 'capabilities are not dropped');
    const added = (security('capabilities.add') ?? []) as Value[];
    refuse(
      added.some((name) => name !== 'NET_BIND_SERVICE'),
      'capabilities are added',
    );
    refuse(either('runAsNonRoot') !== true, 'runAsNonRoot');
    refuse(security('runAsUser') === 0 || at(pod, 'securityContext.runAsUser') === 0, 'runAsUser');
    refuse(!['RuntimeDefault', 'Localhost'].includes(String(either('seccompProfile.type'))), 'seccompProfile');
    refuse(either('appArmorProfile.type') === 'Unconfined', 'appArmorProfile');
    refuse(either('procMount') !== undefined && either('procMount') !== 'Default', 'procMount');
    refuse(either('seLinuxOptions') !== undefined, 'seLinuxOptions');
    refuse(either('windowsOptions.hostProcess') === true, 'hostProcess');
    refuse(
      ((at(container, 'ports') ?? []) as Value[]).some((port) => at(port, 'hostPort') !== undefined),
      'hostPort',
    );
  }
  return errors;
}
