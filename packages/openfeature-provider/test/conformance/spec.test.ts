import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, test } from 'vitest';
import { quiet } from '../world.ts';
import { evaluationSteps } from './evaluation-steps.ts';
import { runFeature } from './feature.ts';
import { providerSteps } from './provider-steps.ts';
import { type Subject, World } from './scenario-world.ts';
import type { SpecFlags } from './spec-flags.ts';

beforeAll(quiet);

const checkout = process.env.OPENFEATURE_SPEC_DIR;

const undeclared = {
  '@numeric-coercion': 'JavaScript has one number type and OpenFeature’s server SDK one number method',
  '@caching': 'a source reads from memory; there is no cache in between',
  '@reinitialization': 'a provider has one life, because its source has one',
} as const;

function run(
  subject: Subject,
  assets: string,
  flags: SpecFlags,
  features: readonly string[],
  skip: Record<string, string> = {},
): void {
  for (const feature of features) {
    const path = join(assets, `${feature}.feature`);
    if (!existsSync(path)) {
      test.skip(`${feature} [the checkout has no ${path}]`);
      continue;
    }
    runFeature(path, {
      steps: [...evaluationSteps, ...providerSteps],
      world: () => new World(flags, subject),
      end: (world) => world.end(),
      undeclared: { ...undeclared, ...skip },
    });
  }
}

const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const cached = { '@reason-codes-cached': undeclared['@caching'] };

if (checkout === undefined) {
  test.skip(
    'the OpenFeature specification’s scenarios [OPENFEATURE_SPEC_DIR names no checkout of open-feature/spec; see README.md beside this file]',
  );
} else {
  const gherkin = join(checkout, 'specification/assets/gherkin');
  const tck = join(checkout, 'specification/assets/provider-tck');

  describe('specification, appendix B: the provider under the SDK', () => {
    run(
      'direct',
      gherkin,
      json(join(gherkin, 'test-flags.json')),
      ['evaluation_v2', 'metadata', 'hooks', 'contextMerging'],
      cached,
    );
  });
  describe('specification, appendix B: with fromOpenFeature in between', () => {
    run('through a client', gherkin, json(join(gherkin, 'test-flags.json')), ['evaluation_v2', 'metadata', 'hooks'], {
      ...cached,
      '@provider-status': 'a client in between reports its provider’s status as staleness, never as FATAL',
    });
  });

  const canonical = join(tck, 'flags/canonical-flags.json');
  describe.skipIf(!existsSync(canonical))('provider conformance, appendix F (draft)', () => {
    const features = ['evaluation', 'errors', 'events', 'lifecycle', 'metadata', 'reason'];
    const flags: SpecFlags = existsSync(canonical) ? json(canonical).flags : {};
    run('direct', join(tck, 'gherkin'), flags, features);
    describe('with fromOpenFeature in between', () => run('through a client', join(tck, 'gherkin'), flags, features));
  });
}
