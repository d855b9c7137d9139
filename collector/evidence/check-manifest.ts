import { createHash } from 'node:crypto';
import type { Evidence } from '../capture/capture.ts';

/** What a manifest says of its image. */
export interface ManifestDigests {
  readonly segmentBytes: number;
  /** SHA-256 of the image up to the end of each segment, lower-case hex. */
  readonly prefixes: readonly string[];
}

/**
 * The digests of a manifest that belongs to this evidence, or a sentence that says why it does not. What is known to be true is the journal's:
 * bytes and SHA-256 of the image since it was sealed, and the SHA-256 of the manifest, if it is not empty, since it was stored.
 */
export function checkManifest(manifest: Buffer, evidence: Evidence, manifestSha256: string): ManifestDigests | string {
  if (manifestSha256 !== '' && sha256Of(manifest) !== manifestSha256)
    return `the manifest was altered after it was stored: its SHA-256 is ${sha256Of(manifest)}, it was ${manifestSha256}`;
  const image = imageOf(manifest);
  if (image === undefined) return 'the manifest was altered: it is no kcorder-manifest/1 any more';
  const { bytes, sha256, segmentBytes, prefixSha256: prefixes } = image;
  if (bytes !== evidence.bytes || sha256 !== evidence.sha256)
    return `the manifest was altered: it names an image of ${String(bytes)} bytes with SHA-256 ${String(sha256)}, ${evidence.bytes} bytes with ${evidence.sha256} were sealed`;
  if (typeof segmentBytes !== 'number' || !Number.isSafeInteger(segmentBytes) || segmentBytes < 1)
    return 'the manifest was altered: its segment size is none';
  if (
    !Array.isArray(prefixes) ||
    prefixes.length !== Math.ceil(evidence.bytes / segmentBytes) ||
    !prefixes.every((prefix) => typeof prefix === 'string') ||
    (prefixes.length > 0 && prefixes.at(-1) !== evidence.sha256)
  )
    return 'the manifest was altered: its segment digests do not belong to its image';
  return { segmentBytes, prefixes };
}

/** Lower-case hex. */
export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function imageOf(manifest: Buffer): Record<string, unknown> | undefined {
  try {
    const { format, image } = JSON.parse(manifest.toString()) as { format?: unknown; image?: unknown };
    if (format !== 'kcorder-manifest/1' || typeof image !== 'object' || image === null) return undefined;
    return image as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
