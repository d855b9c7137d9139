import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repoDir } from '../setup/cache.ts';
import { copyPackages, productionPackages } from '../setup/image-npm.ts';
import { type Component, npmComponent, programComponent } from './sbom.ts';

export type AppName = 'agent' | 'collector';

/** The workspaces of each image. */
const workspacesOf: Readonly<Record<AppName, readonly string[]>> = {
  agent: ['agent', 'proto'],
  collector: ['collector', 'isf', 'proto'],
};

const manifest = JSON.parse(readFileSync(join(repoDir, 'package.json'), 'utf8')) as { version: string };

/** Of the project, and the tag of the images. */
export const appVersion = manifest.version;

const leftOutFolders = ['__pycache__', 'fixtures', 'node_modules', 'testing'];
const leftOutFiles = /\.test\.ts$|^test_.*\.py$|\.pyc$|^baseline\.binpb$/;

/** All files of the checkout that decide what is in an app's layer, by their paths there. */
export function appFiles(name: AppName): string[] {
  return [...sources(name), 'package-lock.json'];
}

/** Writes an app into the new folder `app`: sources as they are, and the packages that npm counts as theirs for production. */
export async function writeApp(name: AppName, app: string): Promise<Component[]> {
  for (const path of sources(name)) {
    mkdirSync(dirname(join(app, path)), { recursive: true });
    copyFileSync(join(repoDir, path), join(app, path));
  }
  const workspaces = workspacesOf[name];
  const packages = await productionPackages(workspaces);
  copyPackages(packages, workspaces, app);
  const own = workspaces.map((workspace) => {
    const text = readFileSync(join(repoDir, workspace, 'package.json'), 'utf8');
    const { name: ownName, version } = JSON.parse(text) as { name: string; version: string };
    return programComponent('npm', ownName, version);
  });
  return [...own, ...packages.map(npmComponent)];
}

/** The files of the workspaces that run, without tests and what only tests read; and the licence. */
function sources(name: AppName): string[] {
  const found = new Set(['LICENSE', 'NOTICE']);
  const look = (folder: string): void => {
    for (const entry of readdirSync(join(repoDir, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !leftOutFolders.includes(entry.name)) look(path);
      else if (entry.isFile() && !leftOutFiles.test(entry.name)) found.add(path);
    }
  };
  for (const workspace of workspacesOf[name]) look(workspace);
  return [...found].sort();
}
