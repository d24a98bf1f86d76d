// sources.ts: the contract of a source over sources that break it. Run by contract-fails.process.test.ts alone, and meant to fail.

import { describeSwitchSource } from '@offswitch/testing';
import { smallHarness } from '../small-source.ts';
import { mustBreak } from './must-break.ts';

for (const broken of Object.keys(mustBreak) as (keyof typeof mustBreak)[])
  describeSwitchSource(broken, (switches) => smallHarness(switches, broken), { staleWithinMs: 300, openWithinMs: 2000 });
