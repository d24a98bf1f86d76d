// environment.test.ts: the variables of each vendor: what becomes of them, and that the docs say the same.

import { readFileSync } from 'node:fs';
import { fromEnvironment, isVendor, vendors } from 'offswitch';
import { describe, expect, test } from 'vitest';

const page = readFileSync(new URL('../../../docs/environment.md', import.meta.url), 'utf8');

describe('the page on the environment', () => {
  test.each(['source', 'control'] as const)('names each variable of the %s, and what counts where it is not set', (side) => {
    const rows = Object.values(vendors).flatMap((vendor) =>
      vendor[side].map(({ name, what, fallback, isOptional }) => {
        const otherwise = fallback === undefined ? (isOptional ? 'may be left out' : 'must be set') : `\`${fallback}\``;
        return `| ${vendor.title} | \`${name}\` | ${what} | ${otherwise} |`;
      }),
    );
    for (const row of rows) expect(page).toContain(row);
    const named = new Set(
      Object.values(vendors).flatMap(({ source, control }) => [...source, ...control].map(({ name }) => name)),
    );
    expect(new Set(page.match(/\b(?:LAUNCHDARKLY|GROWTHBOOK|UNLEASH)_[A-Z_]+/g))).toEqual(named);
  });
});

describe('an environment', () => {
  test('gives the options a factory takes, with defaults, and names what it lacks; empty is not set', () => {
    const { options, missing } = fromEnvironment(vendors.launchdarkly.control, {
      LAUNCHDARKLY_PROJECT: 'agents',
      LAUNCHDARKLY_ACCESS_TOKEN: ' ',
    });
    expect(options).toEqual({ project: 'agents', environment: 'production' });
    expect(missing.map(({ name }) => name)).toEqual(['LAUNCHDARKLY_ACCESS_TOKEN']);
  });
  test('may name Unleash as its client documentation does, or without /api: reading has it, the admin API has not', () => {
    for (const url of ['https://unleash.example.com', 'https://unleash.example.com/api/', 'https://unleash.example.com/']) {
      const env = { UNLEASH_URL: url };
      expect(fromEnvironment(vendors.unleash.source, env).options.url).toBe('https://unleash.example.com/api');
      expect(fromEnvironment(vendors.unleash.control, env).options.url).toBe('https://unleash.example.com');
    }
  });
  test('knows a vendor by the name that its source has, and no other', () => {
    expect(['launchdarkly', 'growthbook', 'unleash'].every(isVendor)).toBe(true);
    expect(['flag-file', 'constructor', ''].some(isVendor)).toBe(false);
  });
});
