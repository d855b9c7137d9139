import { isMirrorAnnotation } from './static-pods.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * Returns the JSON of an answer with only what is read of its pods and nodes: the client makes an object of every field, which takes it ten times as
 * long as the parsing, and whoever makes pods chooses how many fields they have. The size of a list's answer, which decides the size of the next
 * page, goes into `selfLink`: API servers have left that empty since 1.20. Anything else is returned as it is.
 */
export function withoutBulk(text: string): string {
  const answer = parsed(text);
  if (answer === undefined) return text;
  const { items, metadata, ...rest } = answer;
  if (Array.isArray(items)) {
    const list = { ...rest, metadata: { ...asObject(metadata), selfLink: String(text.length) } };
    return JSON.stringify({ ...list, items: items.map((item: unknown) => slim(asObject(item))) });
  }
  return rest.kind === 'Pod' ? JSON.stringify({ ...rest, ...slim(answer) }) : text;
}

function slim({ metadata, spec, status }: Json): Json {
  const { annotations, ownerReferences, ...meta } = asObject(metadata);
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = meta;
  const kept = Object.entries(asObject(annotations)).filter(([key]) => isMirrorAnnotation(key));
  const owners: unknown[] = Array.isArray(ownerReferences) ? ownerReferences : [];
  const { nodeName, serviceAccountName } = asObject(spec);
  const { images: _, volumesInUse: __, volumesAttached: ___, ...state } = asObject(status);
  return {
    metadata: {
      ...{ name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp },
      annotations: Object.fromEntries(kept),
      // There is one at most.
      ownerReferences: owners.filter((owner) => asObject(owner).controller === true).slice(0, 1),
    },
    spec: { nodeName, serviceAccountName },
    status: state,
  };
}

const asObject = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});

function parsed(text: string): Json | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}
