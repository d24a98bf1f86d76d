// feature.ts: Gherkin scenarios as tests. Small, because the upstream runners bind steps by scenario title, and the
// specification's features repeat titles.

import { readFileSync } from 'node:fs';
import { AstBuilder, compile, GherkinClassicTokenMatcher, Parser } from '@cucumber/gherkin';
import { IdGenerator, type Pickle, type PickleStep } from '@cucumber/messages';
import { describe, test } from 'vitest';

/** Rows of a step's table; the first is the header where there is one. */
export type Table = readonly (readonly string[])[];
export type Step<World> = readonly [pattern: RegExp, run: (world: World, captured: readonly string[], table: Table) => unknown];

export interface FeatureOptions<World> {
  readonly steps: readonly Step<World>[];
  readonly world: () => World;
  readonly end: (world: World) => Promise<void>;
  /** Tag to the reason why it is not declared: those scenarios are skipped, with the reason in the name. */
  readonly undeclared: Readonly<Record<string, string>>;
}

/** Runs every scenario of one file. */
export function runFeature<World>(path: string, options: FeatureOptions<World>): void {
  const newId = IdGenerator.incrementing();
  const document = new Parser(new AstBuilder(newId), new GherkinClassicTokenMatcher()).parse(readFileSync(path, 'utf8'));
  describe(document.feature?.name ?? path, () => {
    for (const pickle of compile(document, path, newId)) {
      const skipped = pickle.tags.find((tag) => tag.name in options.undeclared)?.name;
      if (skipped !== undefined) test.skip(`${pickle.name} [${skipped} is not declared: ${options.undeclared[skipped]}]`);
      else test(pickle.name, () => runScenario(pickle, options));
    }
  });
}

async function runScenario<World>(pickle: Pickle, { steps, world: make, end }: FeatureOptions<World>): Promise<void> {
  const world = make();
  try {
    for (const step of pickle.steps) {
      const [run, captured] = matching(step, steps);
      await run(world, captured, step.argument?.dataTable?.rows.map((row) => row.cells.map((cell) => cell.value)) ?? []);
    }
  } finally {
    await end(world);
  }
}

function matching<World>(step: PickleStep, steps: readonly Step<World>[]): [Step<World>[1], string[]] {
  const found = steps.flatMap(([pattern, run]) => {
    const match = pattern.exec(step.text);
    return match ? [[run, match.slice(1)] as [Step<World>[1], string[]]] : [];
  });
  const [only, second] = found;
  if (!only || second) throw new Error(`${found.length} steps are defined for: ${step.text}`);
  return only;
}
