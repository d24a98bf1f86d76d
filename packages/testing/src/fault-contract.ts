// fault-contract.ts: what every source must hold when its vendor fails, one test for each fault.

import type { KillSwitches } from '@offswitch/core';
import { afterEach, describe, expect, test } from 'vitest';
import { faultKinds, faults } from './fault.ts';
import type { FaultContractOptions, FaultHarness } from './fault-harness.ts';
import type { FaultResult } from './fault-result.ts';
import { runFault } from './fault-run.ts';
import { contractSwitches } from './source-harness.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** How a source came through a fault; vitest's JSON reporter writes it out. */
    offswitchFault?: FaultResult & { readonly source: string; readonly isMeasured?: true; readonly isUnfixable?: true };
  }
}

/**
 * Runs every fault against a fresh harness. In each: no active stop is lifted (not even by a cached reading), nobody else is
 * stopped, nothing crashes the process, nothing is fresh and wrong, health leaves `fresh` where the data was cut; and after it
 * the source is right again with no restart, has lost no change, and a release releases.
 */
export function describeSourceFaults(
  name: string,
  make: (switches: KillSwitches) => Promise<FaultHarness>,
  options: FaultContractOptions = {},
): void {
  const { staleWithinMs = 10_000, recoverWithinMs = 10_000 } = options;
  const open: FaultHarness[] = [];

  describe(`a switch source in trouble: ${name}`, () => {
    afterEach(async () => {
      for (const harness of open.splice(0)) {
        await harness.source.close();
        await harness.close();
      }
    });

    for (const fault of options.only ?? faults) {
      const known = options.unfixable?.[fault] ?? [];
      const promise =
        known.length === 0
          ? 'holds its stops, stops nobody else and comes back by itself'
          : `holds everything but what is listed for it (${known.join(', ')})`;
      // For one that hangs. On a busy machine what comes before the fault once took over five seconds.
      const timeout = 20_000 + 3 * (staleWithinMs + recoverWithinMs);
      test(`${promise} when ${faultKinds[fault].what} [${fault}] (S3, I7, I13)`, { timeout }, async ({ task, skip }) => {
        const harness = await make(contractSwitches);
        open.push(harness);
        const result = await runFault(harness, fault, options);
        task.meta.offswitchFault = { ...result, source: name, ...(known.length > 0 ? { isUnfixable: true } : {}) };
        skip(result.outcome === 'cannot', result.why);
        expect(result.problems.filter(({ code }) => !known.includes(code))).toEqual([]);
        if (known.length > 0)
          expect(result.problems, 'it is listed as unfixable, and it held: take it off the list').not.toEqual([]);
      });
    }
  });
}
