// source-contract.ts: what every switch source must hold, whoever wrote it. One exported suite, run by each adapter with a
// harness that can flip, break and lose the vendor behind it.

import type { KillSwitches } from '@offswitch/core';
import { afterEach, describe } from 'vitest';
import { testChange } from './source-contract-change.ts';
import { contractKit } from './source-contract-kit.ts';
import { testLife } from './source-contract-life.ts';
import { testLoss } from './source-contract-loss.ts';
import { testMeaning } from './source-contract-meaning.ts';
import { testResolve } from './source-contract-resolve.ts';
import type { SourceContractOptions, SourceHarness } from './source-harness.ts';

/**
 * Runs the contract. `make` gets the switches to seed and returns a fresh harness each time. A test that needs an optional part
 * of the harness is skipped, by name, where there is none.
 */
export function describeSwitchSource(
  name: string,
  make: (switches: KillSwitches) => Promise<SourceHarness>,
  options: SourceContractOptions = {},
): void {
  const kit = contractKit(make, options);
  describe(`a switch source: ${name}`, () => {
    afterEach(() => kit.cleanUp());
    testMeaning(kit);
    testChange(kit);
    testLoss(kit);
    testLife(kit);
    testResolve(kit);
  });
}
