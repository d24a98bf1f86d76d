// fault-measure.ts: how something that is no adapter of ours comes through the faults, a vendor's SDK as people use it: measured by
// the same runs, and without a verdict.

import type { KillSwitches, SwitchSource } from '@offswitch/core';
import { afterEach, describe, test } from 'vitest';
import { faults } from './fault.ts';
import type { FaultContractOptions, FaultHarness } from './fault-harness.ts';
import { runFault } from './fault-run.ts';
import { contractSwitches } from './source-harness.ts';
import { waitUntil } from './wait-until.ts';

/** Each fault once; what came of it is in the meta of the test (`offswitchFault`, with `isMeasured`), and no test fails for it. */
export function measureSourceFaults(
  name: string,
  make: (switches: KillSwitches) => Promise<FaultHarness>,
  options: FaultContractOptions = {},
): void {
  const { staleWithinMs = 10_000, recoverWithinMs = 10_000 } = options;
  const open: FaultHarness[] = [];
  describe(`measured in trouble: ${name}`, () => {
    afterEach(async () => {
      for (const harness of open.splice(0)) {
        await harness.source.close();
        await harness.close();
      }
    });
    for (const fault of faults) {
      test(`${fault}`, { timeout: 20_000 + 3 * (staleWithinMs + recoverWithinMs) }, async ({ task }) => {
        const harness = await make(contractSwitches);
        open.push(harness);
        task.meta.offswitchFault = { ...(await runFault(harness, fault, options)), source: name, isMeasured: true };
      });
    }
  });
}

/**
 * The vendor of a harness with another source in front of it: flips are stored at the vendor, then waited for, `seenWithinMs` at the
 * longest. The harness's own source is not opened.
 */
export function withSource(harness: FaultHarness, source: SwitchSource, seenWithinMs = 2000): FaultHarness {
  const flip =
    (action: 'engage' | 'release'): FaultHarness['engage'] =>
    async (flag, target) => {
      await harness.store(action, flag, target);
      const subject = flag.tier === 'user' ? { userId: target } : flag.tier === 'instance' ? { sessionId: target } : {};
      const wanted = action === 'engage' ? 'engaged' : 'released';
      await waitUntil(source, seenWithinMs, async () => (await source.read(flag, subject as object)).state === wanted);
    };
  return {
    ...harness,
    source,
    engage: flip('engage'),
    release: flip('release'),
    async close() {
      await harness.source.close();
      await harness.close();
    },
  };
}
