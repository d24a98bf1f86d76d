// local.ts: for each vendor a server on this machine and the control that flips in it: what accounts and dashboards are elsewhere.

import { growthBookControl } from '@offswitch/growthbook/control';
import { launchDarklyControl } from '@offswitch/launchdarkly/control';
import { startLocalGrowthBook } from '@offswitch/testing/growthbook';
import { startLocalLaunchDarkly } from '@offswitch/testing/launchdarkly';
import { startLocalUnleash, whyNoLocalUnleash } from '@offswitch/testing/unleash';
import { unleashControl } from '@offswitch/unleash/control';
import { flagFileControl, type SwitchControl } from 'offswitch';
import type { sources } from './sources.ts';

export interface Local {
  readonly env: Readonly<Record<string, string>>;
  readonly control: SwitchControl;
  close(): Promise<void>;
}

/** `undefined` where it cannot run here: the real Unleash needs Linux on x64. */
export async function local(vendor: keyof typeof sources): Promise<Local | undefined> {
  switch (vendor) {
    case 'file':
      return { env: {}, control: flagFileControl('switches.flagd.json'), close: async () => undefined };
    case 'launchdarkly': {
      const { source, control, close } = await startLocalLaunchDarkly();
      const env = { LAUNCHDARKLY_SDK_KEY: source.sdkKey, LAUNCHDARKLY_BASE_URL: source.baseUri };
      return { env, control: launchDarklyControl(control), close };
    }
    case 'growthbook': {
      const { source, control, close } = await startLocalGrowthBook();
      const env = { GROWTHBOOK_SDK_HOST: source.apiHost, GROWTHBOOK_CLIENT_KEY: source.clientKey };
      return { env, control: growthBookControl(control), close };
    }
    case 'unleash': {
      if (whyNoLocalUnleash() !== undefined) return undefined;
      const { source, control, close } = await startLocalUnleash();
      return { env: { UNLEASH_URL: source.url, UNLEASH_CLIENT_TOKEN: source.token }, control: unleashControl(control), close };
    }
  }
}
