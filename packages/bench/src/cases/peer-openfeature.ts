// peer-openfeature.ts: what four tiers cost when each call asks an OpenFeature client for four flags, from memory.

import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk';
import { type Case, check } from '../case.ts';
import { switches } from '../fleet.ts';
import { median, spread, timeEach } from '../measure.ts';

export const peerOpenFeature: Case = {
  figures: ['peer.openfeature.us'],
  async run() {
    const tiers = [switches.global!, switches.feature('work'), switches.user!, switches.instance!];
    const off = { variants: { engaged: true, released: false }, disabled: false, defaultVariant: 'released' } as const;
    const provider = new InMemoryProvider(Object.fromEntries(tiers.map((flag) => [flag.key, off])));
    await OpenFeature.setProviderAndWait('bench', provider);
    const client = OpenFeature.getClient('bench');
    const context = { targetingKey: 's-0123456789abcdef', userId: 'u-1', workflow: 'work' };
    let engaged = 0;
    const ask = async (): Promise<void> => {
      for (const { key } of tiers) if (await client.getBooleanValue(key, true, context)) engaged++;
    };
    const rounds: number[] = [];
    for (let round = -2; round < 7; round++) {
      const samples = await timeEach(5_000, ask);
      if (round >= 0) rounds.push(median(samples) * 1000);
    }
    check(engaged === 0, 'the client answered with its fallback');
    await OpenFeature.close();
    return [{ name: 'peer.openfeature.us', value: median(rounds), unit: 'us', note: `four flags, rounds ${spread(rounds)}` }];
  },
};
