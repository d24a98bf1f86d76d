// versions.ts: what ran, for whoever looks later.

import { readFileSync } from 'node:fs';

export interface Versions {
  readonly offswitch: string;
  readonly node: string;
}

export const versions: Versions = { offswitch: own(), node: process.version };

/** All our packages share one version. In a bundle the file is not there. */
function own(): string {
  try {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    return typeof version === 'string' ? version : 'unknown';
  } catch {
    return 'unknown';
  }
}
