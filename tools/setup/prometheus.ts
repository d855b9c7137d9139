import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { downloadPackages, unpackDebs } from './apt-download.ts';
import { buildOnce } from './build-once.ts';
import { cachePath } from './cache.ts';
import { command } from './command.ts';

/** The programs of Debian's packages that watch a collector in tests. All are one file each, and are started by their path. */
export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
  readonly alertmanager: string;
  readonly amtool: string;
  /** What the packages have below /usr/share; Debian's Alertmanager reads its templates from there. */
  readonly share: string;
}

const packages = ['prometheus', 'prometheus-alertmanager'] as const;

/**
 * Prometheus and Alertmanager as this Debian offers them, unpacked into the cache: installed, the packages would start services. Go programs
 * that need nothing but the C library.
 */
export async function ensurePrometheus(): Promise<PrometheusPrograms> {
  const versions = await Promise.all(packages.map(offeredVersion));
  const what = packages.map((name, index) => `${name} ${versions[index]}`).join(', ');
  const folder = versions.join('_').replace(/[^A-Za-z0-9._+-]/g, '-');
  const root = await buildOnce(cachePath('prometheus', folder), what, async (temporaryPath) => {
    const debs = `${temporaryPath}.debs`;
    mkdirSync(temporaryPath);
    for (const [index, name] of packages.entries())
      await unpackDebs(await downloadPackages([`${name}=${versions[index]}`], join(debs, name)), temporaryPath);
    rmSync(debs, { recursive: true });
  });
  const program = (name: string): string => join(root, 'usr/bin', name);
  return {
    prometheus: program('prometheus'),
    promtool: program('promtool'),
    alertmanager: program('prometheus-alertmanager'),
    amtool: program('amtool'),
    share: join(root, 'usr/share'),
  };
}

/** The newest version of a package that apt knows. */
async function offeredVersion(name: string): Promise<string> {
  const version = /^\s*\S+\s*\|\s*(\S+)/m.exec(await command('apt-cache', ['madison', name]))?.[1];
  if (version === undefined)
    throw new Error(`apt knows no package ${name}: refresh its lists with \`apt-get update\`, then try again`);
  return version;
}
