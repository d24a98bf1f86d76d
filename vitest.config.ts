import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// Tests read the sources, so a red test never waits for a build. Two projects, because only tests that touch a
// process-wide singleton (the OpenFeature API) or spawn processes need a fresh worker; the rest share one and start fast.
const source = { ssr: { resolve: { conditions: ['@offswitch/source', 'module', 'node', 'import', 'default'] } } };
/** For one that hangs. A test over a real server took five seconds on a machine that was busy with others, and held. Milliseconds. */
const testTimeout = 20_000;
/** Of `expect.poll`, whose own second is less than a busy machine stands still for. Milliseconds. */
const poll = { timeout: 10_000 };
/** Tests wait more than they work, so that two at once fit on two processors, where the default is one. */
const maxWorkers = Math.max(2, availableParallelism() - 1);
const isolated = ['packages/openfeature-provider/test/**/*.test.ts'];

export default defineConfig({
  test: {
    maxWorkers,
    projects: [
      {
        ...source,
        test: {
          name: 'shared',
          testTimeout,
          expect: { poll },
          isolate: false,
          include: ['packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts'],
          exclude: [...isolated, '**/*.process.test.ts'],
        },
      },
      { ...source, test: { name: 'isolated', include: isolated, testTimeout, expect: { poll } } },
      {
        ...source,
        test: {
          name: 'process',
          include: ['packages/*/test/**/*.process.test.ts', 'examples/*/test/**/*.process.test.ts'],
          testTimeout: 120_000,
          expect: { poll },
          // Each starts processes of its own, and what they do takes time that is measured. After all others.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
