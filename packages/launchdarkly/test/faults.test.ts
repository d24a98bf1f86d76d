// faults.test.ts: every fault of the fault contract, on both SDKs.

import { describeSourceFaults } from '@offswitch/testing';
import { launchDarklyHarness, sdks } from './harness.ts';

const bounds = { staleWithinMs: 3000, recoverWithinMs: 8000 };
describeSourceFaults('LaunchDarkly, SDK 9', (switches) => launchDarklyHarness(switches, sdks['9']), bounds);
describeSourceFaults('LaunchDarkly, SDK 7', (switches) => launchDarklyHarness(switches, sdks['7']), bounds);
