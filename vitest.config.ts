import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{proto,agent,collector,cli,test}/**/*.test.ts'],
    testTimeout: 30_000,
  },
});
