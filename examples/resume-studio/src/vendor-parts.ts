// vendor-parts.ts: the source and the control of each vendor, made of what the environment says. The packages are loaded where
// they are used, so that nobody needs the clients of vendors that are not theirs.

import { fromEnvironment, type SwitchControl, type SwitchSource, type VendorName, vendors } from 'offswitch';
import { switches } from './switches.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Variables that reading needs and the environment lacks, each with what it is. */
export function missingFor(vendor: VendorName, env: Env): readonly string[] {
  return fromEnvironment(vendors[vendor].source, env).missing.map(({ name, what }) => `${name} (${what})`);
}

export async function sourceAt(vendor: VendorName, env: Env): Promise<SwitchSource> {
  const { options } = fromEnvironment(vendors[vendor].source, env);
  switch (vendor) {
    case 'launchdarkly': {
      const { launchDarkly } = await import('@offswitch/launchdarkly');
      return launchDarkly({ ...(options as { sdkKey: string }) });
    }
    case 'growthbook': {
      const { growthBook } = await import('@offswitch/growthbook');
      return growthBook({ ...(options as { apiHost: string; clientKey: string }), switches });
    }
    case 'unleash': {
      const { unleash } = await import('@offswitch/unleash');
      return unleash({ ...(options as { url: string; token: string }), appName: 'resume-studio' });
    }
  }
}

/** `undefined` where the environment has no management token: agents need none. */
export async function controlAt(vendor: VendorName, env: Env): Promise<SwitchControl | undefined> {
  const { options, missing } = fromEnvironment(vendors[vendor].control, env);
  if (missing.length > 0) return undefined;
  switch (vendor) {
    case 'launchdarkly': {
      const { launchDarklyControl } = await import('@offswitch/launchdarkly/control');
      return launchDarklyControl(options as { token: string; project: string; environment: string });
    }
    case 'growthbook': {
      const { growthBookControl } = await import('@offswitch/growthbook/control');
      return growthBookControl(options as { token: string; environment: string });
    }
    case 'unleash': {
      const { unleashControl } = await import('@offswitch/unleash/control');
      return unleashControl(options as { url: string; token: string; project: string; environment: string });
    }
  }
}
