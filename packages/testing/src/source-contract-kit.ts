// source-contract-kit.ts: what every part of the source contract starts from: a fresh harness, opened or not, and the switches.

import type { KillSwitches, SwitchFlag } from '@offswitch/core';
import { contractSwitches, type SourceContractOptions, type SourceHarness } from './source-harness.ts';

export interface ContractKit {
  /** A fresh harness; its source is not opened yet. Both are closed after the test. */
  made(): Promise<SourceHarness>;
  /** The same with its source opened. */
  opened(): Promise<SourceHarness>;
  /** A harness that the test closes itself. */
  unowned(): Promise<SourceHarness>;
  /** Closes what the test made. */
  cleanUp(): Promise<void>;
  readonly global: SwitchFlag;
  readonly rewrite: SwitchFlag;
  readonly scoring: SwitchFlag;
  readonly user: SwitchFlag;
  readonly instance: SwitchFlag;
  readonly hasPositions: boolean;
  readonly noticesLoss: boolean;
  readonly ownsVendor: boolean;
  readonly standardReasons: boolean;
  readonly everyFlagIsBoolean: boolean;
  readonly openWithinMs: number;
  readonly staleWithinMs: number;
}

export function contractKit(
  make: (switches: KillSwitches) => Promise<SourceHarness>,
  {
    positions = true,
    noticesLoss = true,
    ownsVendor = true,
    standardReasons = true,
    everyFlagIsBoolean = false,
    openWithinMs = 5000,
    staleWithinMs = 10_000,
  }: SourceContractOptions,
): ContractKit {
  const { global, user, instance } = contractSwitches;
  if (!user || !instance) throw new Error('the contract needs all four tiers');
  const open: SourceHarness[] = [];
  const made = async (): Promise<SourceHarness> => {
    const harness = await make(contractSwitches);
    open.push(harness);
    return harness;
  };
  return {
    made,
    async opened() {
      const harness = await made();
      await harness.source.open();
      return harness;
    },
    unowned: () => make(contractSwitches),
    async cleanUp() {
      for (const harness of open.splice(0)) {
        await harness.source.close();
        await harness.close();
      }
    },
    global,
    rewrite: contractSwitches.feature('resume-rewrite'),
    scoring: contractSwitches.feature('batch-scoring'),
    user,
    instance,
    hasPositions: positions,
    noticesLoss,
    ownsVendor,
    standardReasons,
    everyFlagIsBoolean,
    openWithinMs,
    staleWithinMs,
  };
}
