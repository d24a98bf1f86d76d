// file-change.ts: from the change of the flag file to the closed gate, with 1,000 live sessions.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KillSwitches } from '@offswitch/core';
import { flagFile, flagFileControl } from '@offswitch/flag-file';
import { type Case, check } from '../case.ts';
import { openFleet, switches } from '../fleet.ts';
import { percentile, until } from '../measure.ts';

const flips = 200;
const sessions = 1_000;

export const fileChange: Case = {
  figures: ['file.change.p50.ms', 'file.change.p99.ms'],
  async run({ folder }) {
    const home = join(folder, 'flags');
    mkdirSync(home);
    const path = join(home, 'switches.flagd.json');
    await flagFileControl(path).provision(switches as KillSwitches, { apply: true });
    const document = JSON.parse(readFileSync(path, 'utf8'));
    const key = switches.feature('batch').key;
    check(document.flags[key] !== undefined, `the provisioned file has no ${key}`);
    const { engaged, released } = variants(document.flags[key]);
    const fleet = await openFleet({ source: flagFile(path, { switches: switches as KillSwitches }) });
    await fleet.startRoots(sessions);
    let closedAt = 0;
    fleet.runtime.subscribe((event) => {
      if (event.type === 'stop' && event.engaged) closedAt = performance.now();
    });
    const write = (variant: string): void => {
      document.flags[key].defaultVariant = variant;
      document.metadata = { ...document.metadata, 'offswitch.revision': (document.metadata?.['offswitch.revision'] ?? 0) + 1 };
      writeFileSync(`${path}.new`, JSON.stringify(document, undefined, 2));
      renameSync(`${path}.new`, path);
    };
    const samples: number[] = [];
    const isOpen = (): boolean => fleet.live.every((one) => one.decision.action === 'run');
    for (let i = 0; i < flips + 5; i++) {
      closedAt = 0;
      const start = performance.now();
      write(engaged);
      await until('the stop', () => closedAt > 0, 10_000);
      check(
        fleet.live.every((one) => one.decision.action === 'pause'),
        'a gate was open after the stop was told of',
      );
      if (i >= 5) samples.push(closedAt - start);
      write(released);
      await until('the release', isOpen, 10_000);
    }
    await fleet.close();
    const note = `${flips} flips, longest ${Math.max(...samples).toFixed(1)}`;
    return [
      { name: 'file.change.p50.ms', value: percentile(samples, 0.5), unit: 'ms', target: 50, note },
      { name: 'file.change.p99.ms', value: percentile(samples, 0.99), unit: 'ms', target: 50, note },
    ];
  },
};

/** Which variant of a provisioned switch means what. */
function variants(flag: { readonly variants: Readonly<Record<string, unknown>> }): { engaged: string; released: string } {
  const [engaged] = Object.entries(flag.variants).find(([, value]) => value === true) ?? [];
  const [released] = Object.entries(flag.variants).find(([, value]) => value === false) ?? [];
  check(engaged !== undefined && released !== undefined, `variants ${JSON.stringify(flag.variants)}`);
  return { engaged, released };
}
