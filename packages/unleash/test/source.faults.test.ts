import { describeSourceFaults } from '@offswitch/testing';
import { scriptedHarness } from './scripted-harness.ts';

describeSourceFaults('unleash', scriptedHarness, { staleWithinMs: 3000, recoverWithinMs: 6000 });
