import type { V1Pod } from '@kubernetes/client-node';

const hashKey = 'kubernetes.io/config.hash';
const mirrorKey = 'kubernetes.io/config.mirror';
/** An MD5 in hex, or the uid that the manifest on the node sets. */
const uidShape = /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/**
 * Returns the uid that a node has for its static pod, by the mirror pod in the API; undefined for any other pod. Whoever makes pods can write both
 * annotations, so this names nothing by itself: a kubelet runs no pod that is marked as a mirror, and so gives a forged one no container.
 */
export function configHashOf({ metadata }: V1Pod): string | undefined {
  const { [hashKey]: hash = '', [mirrorKey]: mirror } = metadata?.annotations ?? {};
  return hash === mirror && uidShape.test(hash) ? hash : undefined;
}

/** Returns true for the annotations that `configHashOf` reads. */
export const isMirrorAnnotation = (key: string): boolean => key === hashKey || key === mirrorKey;

/** Returns the annotations of a mirror pod that `configHashOf` reads. */
export const mirrorAnnotations = (hash: string): Record<string, string> => ({ [hashKey]: hash, [mirrorKey]: hash });
