// readme.test.ts: the program of the README: a vendor's provider as a source, and that as a provider of switches.

import { defineKillSwitches } from '@offswitch/core';
import { KillSwitchProvider, openFeatureSource } from '@offswitch/openfeature-provider';
import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk';
import { afterEach, expect, test } from 'vitest';

afterEach(() => OpenFeature.close());

test('the program of the README prints what the engaged switch does: pause', async () => {
  // #region provider
  const switches = defineKillSwitches({ global: { authorized: ['on-call'] }, features: {} });
  const vendor = new InMemoryProvider({
    'killswitch.global': { variants: { on: true, off: false }, defaultVariant: 'on', disabled: false },
  });
  const source = openFeatureSource({ provider: vendor });
  await OpenFeature.setProviderAndWait('agents', new KillSwitchProvider({ switches, source }));
  const answer = await OpenFeature.getClient('agents').getStringValue('killswitch.global', 'run'); // pause
  // #endregion
  expect(answer).toBe('pause');
});
