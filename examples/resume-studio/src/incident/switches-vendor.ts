// switches-vendor.ts: the incident's switches at a vendor: its server on this machine, people's flips straight to it, and the fleet
// behind a front that loses it in every way in which a vendor can be lost.

import { type VendorName, vendors } from 'offswitch';
import { startLocalVendor } from '../local-vendor.ts';
import { switches } from '../switches.ts';
import { controlAt } from '../vendor-parts.ts';
import { turnInstanceOn } from './by-hand.ts';
import type { IncidentSwitches } from './scene.ts';
import { openFront } from './vendor-front.ts';

/** Variables of the agents' side that name a host. */
const hosts: Readonly<Record<VendorName, readonly string[]>> = {
  launchdarkly: ['LAUNCHDARKLY_STREAM_URL', 'LAUNCHDARKLY_BASE_URL', 'LAUNCHDARKLY_EVENTS_URL'],
  growthbook: ['GROWTHBOOK_SDK_HOST'],
  unleash: ['UNLEASH_URL'],
};

/** Provisions the flags through the control, as a person does; the fleet holds no management token. */
export async function vendorSwitches(vendor: VendorName): Promise<IncidentSwitches> {
  const server = await startLocalVendor(vendor);
  const control = await controlAt(vendor, server.env);
  await control?.provision(switches, { apply: true });
  const front = await openFront(new URL(server.env[hosts[vendor][0]!] ?? '').origin);
  const names = new Set(vendors[vendor].source.map(({ name }) => name));
  const own = Object.entries(server.env).filter(([name]) => names.has(name));
  return {
    fleetArgs: ['--source', vendor],
    fleetEnv: Object.fromEntries(own.map(([name, value]) => [name, hosts[vendor].includes(name) ? front.url : value])),
    commandEnv: server.env,
    remember: () => front.remember(),
    everybodysInstance: (isOn) => turnInstanceOn(vendor, server.env, isOn),
    losses: () => [
      { what: `${vendor} gone`, begin: () => front.mode('gone') },
      { what: `the key refused by ${vendor}`, begin: () => front.mode('unauthorized') },
      { what: `an empty set of flags from ${vendor}`, begin: () => front.mode('empty') },
      { what: `data of ${vendor} older than before`, begin: () => front.mode('older') },
    ],
    checkLoss({ checks }, { what }) {
      checks.check(`with ${what} the fleet had asked (${front.asked()} requests)`, front.asked() > 0);
    },
    heal: () => front.mode('pass'),
    async close() {
      await front.close();
      await server.close();
    },
  };
}
