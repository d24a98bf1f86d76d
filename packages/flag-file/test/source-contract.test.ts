// source-contract.test.ts: a flag file holds what every source must, in good days and in each fault that a file can have.

import { describeSourceFaults, describeSwitchSource } from '@offswitch/testing';
import { contractHarness } from './contract-harness.ts';

describeSwitchSource('flag file', contractHarness);
describeSourceFaults('flag file', contractHarness, { staleWithinMs: 3000, recoverWithinMs: 20_000 });
