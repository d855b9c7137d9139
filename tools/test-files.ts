import { globSync } from 'node:fs';
import { join } from 'node:path';
import { repoDir } from './setup/cache.ts';

const quick = ['test/kernels/recall.test.ts'];
/** Real processes, but no node: they mostly wait for each other, so two files share the two processors. */
const processes = [
  'test/{evidence,faults,helm,monitoring,terraform}/**/*.test.ts',
  'test/images/dockerfile.test.ts',
  'test/symbols/programs.test.ts',
];

/** The test files of each project, as globs. */
export const testFiles = {
  unit: { include: ['{proto,isf,agent,collector,cli,tools}/**/*.test.ts', ...quick], exclude: [] },
  process: { include: processes, exclude: [] },
  /** Each boots a node, or builds something large: one after the other. */
  system: { include: ['test/**/*.test.ts'], exclude: [...quick, ...processes] },
  soak: { include: ['test/**/*.soak.ts'], exclude: [] },
} satisfies Record<string, { include: string[]; exclude: string[] }>;

/** Whether a project has a test file with one of these words in its path, by which vitest chooses. */
export function hasTests(project: keyof typeof testFiles, words: readonly string[]): boolean {
  const { include, exclude } = testFiles[project];
  const wanted = words.map((word) => word.replace(/^\.\//, ''));
  return globSync(include, { cwd: repoDir, exclude }).some((path) =>
    wanted.some((word) => join(repoDir, path).includes(word)),
  );
}
