// vitest.config.ts: runs the broken sources, which no ordinary run collects.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  ssr: { resolve: { conditions: ['@offswitch/source', 'module', 'node', 'import', 'default'] } },
  test: { include: ['sources.ts'], testTimeout: 5000, hookTimeout: 5000 },
});
