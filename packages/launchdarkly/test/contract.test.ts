// contract.test.ts: the whole contract of a source, on both SDKs and beside a client that the application has.

import { describeSwitchSource } from '@offswitch/testing';
import { launchDarklyHarness, sdks } from './harness.ts';

describeSwitchSource('LaunchDarkly, SDK 9', (switches) => launchDarklyHarness(switches, sdks['9']), { staleWithinMs: 3000 });
describeSwitchSource('LaunchDarkly, SDK 7', (switches) => launchDarklyHarness(switches, sdks['7']), { staleWithinMs: 3000 });
