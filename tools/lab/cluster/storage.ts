import { node2 } from './node-files.ts';

const volumes = 4;

/**
 * What lets an ordinary claim for up to 10 GiB bind: a storage class that is the default, and volumes of node2 in
 * `/var/lib/volumes`, which start as empty folders. Nothing makes new ones: a volume whose claim is gone is not used again.
 */
export function storageObjects(): object[] {
  return [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    },
    ...volumeNames().map((name) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '10Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'standard',
        // not hostPath: only a local volume is given to the group that the pod asks for
        local: { path: `/var/lib/volumes/${name}` },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node2.name] }] },
            ],
          },
        },
      },
    })),
  ];
}

export function volumeNames(): string[] {
  return Array.from({ length: volumes }, (_, index) => `volume-${index + 1}`);
}
