// vendor-unleash.ts: Unleash by the measures of every vendor. From flip to last call it is the real server, which makes a change
// visible once a second, where it runs; what the real one could not hold (10,000 listed ids) is the scripted one's.
//
// The SDK alone polls every second too: with its own default of 15 s it would be compared with somebody else's setting.

import type { SwitchFlag } from '@offswitch/core';
import { startLocalUnleash, startUnleashServer, whyNoLocalUnleash } from '@offswitch/testing/unleash';
import { unleash } from '@offswitch/unleash';
import { unleashControl } from '@offswitch/unleash/control';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import type { Case } from '../case.ts';
import { switches } from '../fleet.ts';
import { type VendorUnderTest, vendorCase } from '../vendor.ts';

const pollMs = 1000;
let opened = 0;

// The SDK alone and the last calls are measured first; then the gates and the evaluations.
export const vendorUnleash: Case = vendorCase(
  'unleash',
  () => (opened++ < 2 && whyNoLocalUnleash() === undefined ? real() : scripted()),
  { flips: 9, rounds: 3, pollMs },
);

async function real(): Promise<VendorUnderTest> {
  const server = await startLocalUnleash();
  const { control, source } = server;
  await unleashControl(control).provision(switches, { apply: true });
  const flip = async (flag: SwitchFlag, isEngaged: boolean): Promise<void> => {
    const path = `projects/${control.project}/features/${flag.key}/environments/${control.environment}/${isEngaged ? 'on' : 'off'}`;
    const response = await fetch(`${server.url}/api/admin/${path}`, {
      method: 'POST',
      headers: { authorization: control.token },
    });
    if (!response.ok) throw new Error(`broken benchmark: ${path} answered ${response.status}`);
  };
  return {
    source: unleash({ ...source, pollMs }),
    flip,
    list: () => Promise.reject(new Error('broken benchmark: lists are measured over the scripted server')),
    async bare(updated) {
      // The first flip is a release, and of one that is off already Unleash tells nobody.
      await flip(switches.feature('batch'), true);
      return bare(source, updated);
    },
    close: () => server.close(),
  };
}

async function scripted(): Promise<VendorUnderTest> {
  const server = await startUnleashServer();
  const { url, token, adminToken, environment } = server;
  await unleashControl({ url, token: adminToken, environment }).provision(switches, { apply: true });
  const source = { url, token, appName: 'bench' };
  return {
    source: unleash({ ...source, pollMs }),
    flip(flag: SwitchFlag, isEngaged: boolean) {
      server.edit(flag.key, (stored) => {
        const place = stored.environments.get(environment)!;
        place.strategies = [];
        place.enabled = isEngaged;
      });
    },
    list(flag, ids) {
      server.edit(flag.key, (stored) => {
        const { strategies } = stored.environments.get(environment)!;
        const contextName = flag.tier === 'user' ? 'userId' : 'sessionId';
        const named = { ...strategies[0]!, id: 'listed', parameters: { rollout: '100', stickiness: 'default' } };
        strategies.splice(1, 1, { ...named, constraints: [{ contextName, operator: 'IN', values: [...ids] }] });
      });
    },
    bare: (given) => bare(source, given),
    close: () => server.close(),
  };
}

async function bare(
  { url, token, appName }: { readonly url: string; readonly token: string; readonly appName: string },
  updated: () => void,
): Promise<{ close(): unknown }> {
  const client = new Unleash({
    url: `${url.replace(/\/api$/, '')}/api/`,
    appName,
    customHeaders: { authorization: token },
    refreshInterval: pollMs,
    disableMetrics: true,
    storageProvider: new InMemStorageProvider(),
  });
  await new Promise<void>((resolve) => client.once('synchronized', () => resolve()));
  client.on('changed', updated);
  return { close: () => client.destroy() };
}
