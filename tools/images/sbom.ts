import type { NpmPackage } from '../setup/image-npm.ts';
import type { DebianPackage } from '../setup/image-packages.ts';

/** A component of a bill of materials, as CycloneDX 1.6 writes it. */
export interface Component {
  readonly type: 'application' | 'library';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: 'SHA-256' | 'SHA-512'; readonly content: string }[];
  readonly licenses?: readonly object[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** Of the .deb file; `release` as in `debian-12`. */
export function debianComponent({ name, version, architecture, sha256 }: DebianPackage, release: string): Component {
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=${release}`;
  return { type: 'library', 'bom-ref': purl, name, version, purl, hashes: [{ alg: 'SHA-256', content: sha256 }] };
}

/** Of the package's archive, as the lock file pins it. */
export function npmComponent({ name, version, integrity, license, path }: NpmPackage): Component {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const [, algorithm, base64 = ''] = /^(sha\d+)-(.+)$/.exec(integrity ?? '') ?? [];
  const content = Buffer.from(base64, 'base64').toString('hex');
  return {
    ...{ type: 'library', 'bom-ref': `${purl}#${path}`, name, version, purl },
    ...(algorithm === 'sha512' && { hashes: [{ alg: 'SHA-512' as const, content }] }),
    ...(license && { licenses: [/[ ()]/.test(license) ? { expression: license } : { license: { id: license } }] }),
    properties: [{ name: 'kcorder:path', value: `/app/${path}` }],
  };
}

/** Of the wheel, or of the program itself. */
export function programComponent(type: string, name: string, version: string, sha256?: string): Component {
  const purl = `pkg:${type}/${name.replace('@', '%40')}@${version}`;
  const hashes = sha256 === undefined ? {} : { hashes: [{ alg: 'SHA-256' as const, content: sha256 }] };
  return { type: 'application', 'bom-ref': purl, name, version, purl, ...hashes };
}

/** The bill of materials of an image: CycloneDX JSON, the same bytes for the same components. */
export function makeSbom(image: string, version: string, components: readonly Component[]): string {
  const sorted = [...components].sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'container', 'bom-ref': image, name: image, version } },
    components: sorted,
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
