import { describeSwitchSource } from '@offswitch/testing';
import { scriptedHarness } from './scripted-harness.ts';

describeSwitchSource('unleash, against the scripted server', scriptedHarness);
