// local-vendor-process.ts: the process of a local vendor server. One JSON line on stdout says how to reach it; the end of stdin is
// its end, so that it outlives nobody who started it.

import { isVendor, type VendorName, vendors } from 'offswitch';

interface Local {
  readonly source: Readonly<Record<string, string>>;
  readonly control: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

async function start(vendor: VendorName): Promise<Local> {
  switch (vendor) {
    case 'launchdarkly':
      return (await import('@offswitch/testing/launchdarkly')).startLocalLaunchDarkly();
    case 'growthbook':
      return (await import('@offswitch/testing/growthbook')).startLocalGrowthBook();
    case 'unleash':
      return (await import('@offswitch/testing/unleash')).startLocalUnleash();
  }
}

const vendor = process.argv[2] ?? '';
if (!isVendor(vendor)) throw new Error(`no local server for ${JSON.stringify(vendor)}`);
const local = await start(vendor).catch((error: unknown) => {
  // The studio passes it on to a person.
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
// A signal at the whole group (Ctrl-C in a terminal) is the studio's to answer: it parks its agents first, and reads while it does.
process.on('SIGINT', () => undefined).on('SIGTERM', () => undefined);
const env: Record<string, string> = {};
for (const side of ['control', 'source'] as const)
  for (const { name, option } of vendors[vendor][side]) {
    const value = local[side][option];
    if (value !== undefined) env[name] = value;
  }
process.stdout.write(`${JSON.stringify(env)}\n`);
process.stdin.resume().once('end', () => void local.close().then(() => process.exit(0)));
