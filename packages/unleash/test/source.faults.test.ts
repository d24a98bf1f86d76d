import { describeSourceFaults } from '@offswitch/testing';
import { scriptedHarness } from './scripted-harness.ts';

describeSourceFaults('Unleash', (switches) => scriptedHarness(switches), { staleWithinMs: 3000, recoverWithinMs: 6000 });
