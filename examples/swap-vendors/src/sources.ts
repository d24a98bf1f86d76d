// sources.ts: the one line that differs between vendors.

import { growthBook } from '@offswitch/growthbook';
import { launchDarkly } from '@offswitch/launchdarkly';
import { unleash } from '@offswitch/unleash';
import { flagFile, type SwitchSource } from 'offswitch';

type Env = Readonly<Record<string, string>>;

export const sources: Readonly<Record<'file' | 'launchdarkly' | 'growthbook' | 'unleash', (env: Env) => SwitchSource>> = {
  // #region lines
  file: () => flagFile('switches.flagd.json'),
  launchdarkly: (env) => launchDarkly({ sdkKey: env.LAUNCHDARKLY_SDK_KEY!, ...relay(env) }),
  growthbook: (env) => growthBook({ apiHost: env.GROWTHBOOK_SDK_HOST!, clientKey: env.GROWTHBOOK_CLIENT_KEY! }),
  unleash: (env) => unleash({ url: env.UNLEASH_URL!, token: env.UNLEASH_CLIENT_TOKEN!, appName: 'agents' }),
  // #endregion
};

/** LaunchDarkly's own hosts, unless a Relay Proxy (here: the scripted server) stands in for them. */
function relay(env: Env): { baseUri?: string; streamUri?: string; eventsUri?: string } {
  const uri = env.LAUNCHDARKLY_BASE_URL;
  return uri === undefined ? {} : { baseUri: uri, streamUri: uri, eventsUri: uri };
}
