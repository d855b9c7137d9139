import { defineConfig } from 'vitest/config';
import { testFiles } from './tools/test-files.ts';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          ...testFiles.unit,
          // A busy machine is no failure.
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // More than processors: many files wait for processes and timers.
          maxWorkers: 4,
        },
      },
      {
        test: {
          name: 'soak',
          ...testFiles.soak,
          testTimeout: 3_600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'process',
          ...testFiles.process,
          testTimeout: 600_000,
          hookTimeout: 600_000,
          maxWorkers: 2,
          // Tests of one file that only wait, as those of alerts.
          maxConcurrency: 4,
        },
      },
      {
        test: {
          name: 'system',
          ...testFiles.system,
          testTimeout: 900_000,
          hookTimeout: 900_000,
          // An emulated node takes both processors: two at once were slower each, and their images more torn.
          fileParallelism: false,
        },
      },
    ],
  },
});
